// How weights lie in memory once they are loaded.
//
// A matrix of `rows` x `columns` is cut into tiles of 16 rows; a tile is cut along its columns
// into groups of 32. A group has, for each of its 16 rows, 32 codes (small unsigned integers)
// and the numbers that turn them into weights:
//
//     weight = scale * (code - zero_point)        or        weight = scale * code + minimum
//
// A tile is all its codes, then all its scales, each part aligned to 64 bytes:
//
//     | codes of group 0 | codes of group 1 | ... | scales of group 0 | scales of group 1 | ... |
//
// The codes of a group are chunks of 64 bytes, and a chunk is what one dot-product instruction
// takes: 4 neighbouring columns of 16 rows. Chunk c of a group, columns 4c to 4c + 3:
//
//     byte   0    1    2    3  |  4    5    6    7  | ... | 60   61   62   63
//           row 0, 4 columns   |  row 1, 4 columns  |     |  row 15, 4 columns
//
// so that every 32-bit lane belongs to one row, and a group's product of 16 rows with a token is
// 8 instructions on one register, without any sum across lanes. Codes of
//
//     8 bits   8 chunks as they are: 512 bytes a group
//     4 bits   4 x 64 bytes; byte i of part p holds chunk p in its low and chunk p + 4 in its
//              high half: 256 bytes
//     5 bits   as 4 bits, then 64 bytes whose bit c is the fifth bit of chunk c: 320 bytes
//     6 bits   as 4 bits, then 2 x 64 bytes: bits 2c' and 2c' + 1 of part q are the two high bits
//              of chunk 4q + c': 384 bytes
//
// The scales of a group, 16 rows each:
//
//     half             16 float16 scales
//     half, minimum    16 float16 scales, 16 float16 minimums
//     nested           as K formats have them, for 8 groups together: 16 float16 factors of the
//                      scales and 16 of the minimums, then for each group 16 bytes of scale and
//                      16 of minimum: scale = factor * byte, minimum = -factor * byte
//     nested, 16       scales for 16 columns each, for 8 groups together: 16 float16 factors, 32
//                      unused bytes, then for each group 2 x 16 signed bytes
//
// Every format of a GGUF file has its place here without a bit of loss. Plain floats are stored
// column by column instead: 16 rows of column 0, 16 rows of column 1, ...
#pragma once

#include <cstddef>
#include <cstdint>

namespace native {

constexpr int kTileRows = 16;
constexpr int kGroup = 32;
constexpr int kNestedGroups = 8;
constexpr size_t kAlignment = 64;

// What a stored tensor's bytes are; the numbers are part of the C interface.
enum class Stored : int32_t {
    float32 = 0, float16 = 1, bfloat16 = 2,
    q4_0 = 3, q4_1 = 4, q5_0 = 5, q5_1 = 6, q8_0 = 7,
    q4_k = 8, q5_k = 9, q6_k = 10,
    count = 11,
};

// What a tile holds; the numbers are part of the C interface.
enum class Format : int32_t {
    float32 = 0, float16 = 1, bfloat16 = 2,
    q4_0 = 3, q4_1 = 4, q5_0 = 5, q5_1 = 6, q8_0 = 7,
    q4_k = 8, q5_k = 9, q6_k = 10,
    count = 11,
};

enum class Scales { none, half, half_minimum, nested, nested_16 };

struct FormatTraits {
    int bits;  // of a code; of a whole weight where `scales` is none
    Scales scales;
    int zero_point;
};

constexpr FormatTraits kFormatTraits[] = {
    {32, Scales::none, 0},         {16, Scales::none, 0},         {16, Scales::none, 0},
    {4, Scales::half, 8},          {4, Scales::half_minimum, 0},  {5, Scales::half, 16},
    {5, Scales::half_minimum, 0},  {8, Scales::half, 128},        {4, Scales::nested, 0},
    {5, Scales::nested, 0},        {6, Scales::nested_16, 32},
};

constexpr FormatTraits traits_of(Format format) { return kFormatTraits[int(format)]; }
constexpr bool is_quantized(Format format) { return traits_of(format).scales != Scales::none; }

constexpr size_t code_bytes(Format format) { return size_t(kGroup) * kTileRows * traits_of(format).bits / 8; }

// Bytes of scales for `groups` groups; nested ones come for 8 groups together.
constexpr size_t scale_bytes(Format format, size_t groups) {
    switch (traits_of(format).scales) {
        case Scales::none: return 0;
        case Scales::half: return groups * 32;
        case Scales::half_minimum: return groups * 64;
        case Scales::nested:
        case Scales::nested_16: return groups / kNestedGroups * (64 + kNestedGroups * 32);
    }
    return 0;
}

constexpr size_t groups_of(size_t columns) { return (columns + kGroup - 1) / kGroup; }
constexpr size_t align(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

constexpr size_t tile_bytes(Format format, size_t columns) {
    if (!is_quantized(format)) return align(columns * kTileRows * traits_of(format).bits / 8);
    return align(groups_of(columns) * code_bytes(format) + scale_bytes(format, groups_of(columns)));
}

constexpr size_t tiles_of(size_t rows) { return (rows + kTileRows - 1) / kTileRows; }

}  // namespace native
