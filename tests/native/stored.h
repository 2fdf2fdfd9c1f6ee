// Random tensors in every stored format, and what their numbers are, as ggml's reference code has it.
#pragma once

#include <vector>

#include "abi.h"
#include "harness.h"
#include "tiles.h"

namespace self_check {

// A weight is `value`; `size` bounds the parts it is summed from.
struct Weight {
    double value, size;
};

struct Tensor {
    native::Stored stored;
    int64_t rows, columns;
    std::vector<uint8_t> bytes;

    native_tensor view() const {
        return {int32_t(stored), 0, rows, columns, bytes.data(), int64_t(bytes.size())};
    }
};

// Numbers per block of a stored format: 1, 32 or 256.
int64_t block_of(native::Stored stored);

Tensor random_tensor(native::Stored stored, int64_t rows, int64_t columns, Random& random, float size = 1);

// [rows][columns] of what is stored.
std::vector<Weight> weights_of(const Tensor& tensor);

// The same, kept in `format`: rounded to a narrower float, or to q8_0 or q4_1 in groups of 32.
std::vector<Weight> weights_in(const Tensor& tensor, native::Format format);

}  // namespace self_check
