// Activations as products want them: int8 in groups of 32 along the columns, each token for itself.
//
// Tokens come in blocks of 8. The groups of a block follow each other, and a group holds its 8
// tokens side by side, so that a product walks through memory with one pointer. Since a token's
// numbers depend on nothing but the token, no result depends on what else is in the batch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tiles.h"

namespace native {

constexpr int kTokenBlock = 8;

struct alignas(64) ActivationGroup {
    int8_t codes[kTokenBlock][kGroup];
    float scale[kTokenBlock];       // activation = scale * code
    float scaled_sum[kTokenBlock];  // scale * sum of codes
    int32_t sum[kTokenBlock];
    int32_t first_half_sum[kTokenBlock];  // of the first 16 codes
};

// The input of a product. `values` float32 [tokens][stride] for matrices of plain floats,
// `groups` [blocks][groups of 32 columns] for quantized ones; either may be absent.
struct Activations {
    const float* values;
    size_t stride;
    const ActivationGroup* groups;
    size_t tokens;
};

}  // namespace native
