#include "blocks.h"

#include <cstring>

#include "half.h"

namespace native {

namespace {

struct BlockSize {
    size_t numbers, bytes;
};

constexpr BlockSize kBlocks[] = {
    {1, 4}, {1, 2}, {1, 2}, {32, 18}, {32, 20}, {32, 22}, {32, 24}, {32, 34}, {256, 144}, {256, 176}, {256, 210},
};

uint16_t read16(const uint8_t* from) { return uint16_t(from[0] | from[1] << 8); }

uint32_t read32(const uint8_t* from) { return read16(from) | uint32_t(read16(from + 2)) << 16; }

// Low halves of 16 bytes, then their high halves.
void unpack_halves(const uint8_t* packed, uint8_t* codes) {
    for (int i = 0; i < 16; ++i) {
        codes[i] = packed[i] & 15;
        codes[i + 16] = packed[i] >> 4;
    }
}

void add_fifth_bits(uint32_t bits, uint8_t* codes) {
    for (int i = 0; i < kGroup; ++i) codes[i] |= uint8_t((bits >> i & 1) << 4);
}

// The 6-bit scale and minimum of one of a K block's 8 groups, out of 12 bytes.
void unpack_nested(const uint8_t* packed, size_t group, StoredGroup& result) {
    if (group < 4) {
        result.scale[0] = packed[group] & 63;
        result.minimum = packed[group + 4] & 63;
    } else {
        result.scale[0] = uint8_t((packed[group + 4] & 15) | packed[group - 4] >> 6 << 4);
        result.minimum = uint8_t(packed[group + 4] >> 4 | packed[group] >> 6 << 4);
    }
}

// Each 32 bytes hold two groups, one in the low and one in the high halves.
void unpack_nested_codes(const uint8_t* packed, size_t group, uint8_t* codes) {
    const uint8_t* bytes = packed + group / 2 * 32;
    for (int i = 0; i < kGroup; ++i) codes[i] = group % 2 ? bytes[i] >> 4 : bytes[i] & 15;
}

void read_q6_k(const uint8_t* block, size_t group, StoredGroup& result) {
    size_t half = group / 4, quarter = group % 4;
    const uint8_t* low = block + half * 64 + quarter % 2 * 32;
    const uint8_t* high = block + 128 + half * 32;
    for (int i = 0; i < kGroup; ++i) {
        uint8_t four = quarter < 2 ? low[i] & 15 : low[i] >> 4;
        result.codes[i] = uint8_t(four | (high[i] >> 2 * quarter & 3) << 4);
    }
    result.scale[0] = block[192 + 2 * group];
    result.scale[1] = block[192 + 2 * group + 1];
    result.factor = read16(block + 208);
}

float read_float(Stored type, const uint8_t* row, size_t column) {
    if (type == Stored::float32) return float_of_bits(read32(row + 4 * column));
    uint16_t half = read16(row + 2 * column);
    return type == Stored::float16 ? float_of_float16(half) : float_of_bfloat16(half);
}

}  // namespace

size_t block_numbers(Stored type) { return kBlocks[int(type)].numbers; }
size_t block_bytes(Stored type) { return kBlocks[int(type)].bytes; }

StoredGroup read_factors(Stored type, const uint8_t* row, size_t group) {
    StoredGroup result;
    const uint8_t* block = row + group * block_bytes(type);
    result.factor = read16(block);
    result.minimum_factor = type == Stored::q4_1 ? read16(block + 2) : 0;
    return result;
}

StoredGroup read_group(Stored type, const uint8_t* row, size_t group) {
    StoredGroup result{};
    bool is_nested = block_numbers(type) > kGroup;
    const uint8_t* block = row + (is_nested ? group / kNestedGroups : group) * block_bytes(type);
    size_t inner = group % kNestedGroups;
    result.factor = read16(block);
    switch (type) {
        case Stored::q4_0:
            unpack_halves(block + 2, result.codes);
            break;
        case Stored::q4_1:
            result.minimum_factor = read16(block + 2);
            unpack_halves(block + 4, result.codes);
            break;
        case Stored::q5_0:
            unpack_halves(block + 6, result.codes);
            add_fifth_bits(read32(block + 2), result.codes);
            break;
        case Stored::q5_1:
            result.minimum_factor = read16(block + 2);
            unpack_halves(block + 8, result.codes);
            add_fifth_bits(read32(block + 4), result.codes);
            break;
        case Stored::q8_0:
            for (int i = 0; i < kGroup; ++i) result.codes[i] = block[2 + i] ^ 0x80;
            break;
        case Stored::q4_k:
        case Stored::q5_k:
            result.minimum_factor = read16(block + 2);
            unpack_nested(block + 4, inner, result);
            unpack_nested_codes(block + (type == Stored::q4_k ? 16 : 48), inner, result.codes);
            if (type == Stored::q5_k)
                for (int i = 0; i < kGroup; ++i) result.codes[i] |= uint8_t((block[16 + i] >> inner & 1) << 4);
            break;
        case Stored::q6_k:
            read_q6_k(block, inner, result);
            break;
        default:
            break;
    }
    return result;
}

void read_floats(Stored type, const uint8_t* row, size_t columns, size_t group, float* out) {
    if (block_numbers(type) == 1) {
        for (size_t i = 0; i < kGroup; ++i) {
            size_t column = group * kGroup + i;
            out[i] = column < columns ? read_float(type, row, column) : 0.0f;
        }
        return;
    }
    StoredGroup stored = read_group(type, row, group);
    FormatTraits traits = traits_of(Format(int(type)));
    float factor = float_of_float16(stored.factor), minimum = 0;
    float scales[2] = {factor, factor};
    if (traits.scales == Scales::half_minimum) minimum = float_of_float16(stored.minimum_factor);
    if (traits.scales == Scales::nested) {
        scales[0] = scales[1] = factor * float(stored.scale[0]);
        minimum = -(float_of_float16(stored.minimum_factor) * float(stored.minimum));
    }
    if (traits.scales == Scales::nested_16)
        for (int half = 0; half < 2; ++half) scales[half] = factor * float(int8_t(stored.scale[half]));
    for (int i = 0; i < kGroup; ++i)
        out[i] = scales[i / 16] * float(int(stored.codes[i]) - traits.zero_point) + minimum;
}

}  // namespace native
