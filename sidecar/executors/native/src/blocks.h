// Reading weights as model files store them: ggml's block formats (ggml-common.h) and plain floats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tiles.h"

namespace native {

// Numbers and bytes of a stored block; 1 number for plain floats.
size_t block_numbers(Stored type);
size_t block_bytes(Stored type);

inline size_t row_bytes(Stored type, size_t columns) { return columns / block_numbers(type) * block_bytes(type); }

// A group of 32 neighbouring codes of a quantized row, with its scales as they are stored.
// Which of the fields mean something depends on the format; see tiles.h.
struct StoredGroup {
    uint8_t codes[kGroup];
    uint16_t factor;          // float16: the scale, or the factor of the scale bytes
    uint16_t minimum_factor;  // float16: the minimum, or the factor of the minimum byte
    uint8_t scale[2];         // of K formats; the second for the second half, where there are two
    uint8_t minimum;          // of K formats
};

// The scale and the minimum alone of a format whose blocks are groups.
StoredGroup read_factors(Stored type, const uint8_t* row, size_t group);

StoredGroup read_group(Stored type, const uint8_t* row, size_t group);

// Numbers [32 * group, 32 * group + 32) of a row of any type, as far as there are `columns`; zeros beyond.
void read_floats(Stored type, const uint8_t* row, size_t columns, size_t group, float* out);

}  // namespace native
