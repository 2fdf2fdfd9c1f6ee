#include "pack.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "half.h"

namespace native {

namespace {

bool is_same(Stored type, Format format) { return int(type) == int(format); }

// int8 and 4 bits with a minimum, in groups of 32, the scales rounded before the codes are chosen.
StoredGroup quantize_group(const float* numbers, Format format) {
    StoredGroup result{};
    auto [least, most] = std::minmax_element(numbers, numbers + kGroup);
    if (format == Format::q8_0) {
        result.factor = float16_of_float(std::max(-*least, *most) / 127.0f);
    } else {
        result.minimum_factor = float16_of_float(*least);
        result.factor = float16_of_float((*most - *least) / 15.0f);
    }
    float scale = float_of_float16(result.factor);
    float minimum = format == Format::q8_0 ? 0.0f : float_of_float16(result.minimum_factor);
    int zero_point = traits_of(format).zero_point, most_code = format == Format::q8_0 ? 255 : 15;
    for (int i = 0; i < kGroup; ++i) {
        float code = scale > 0 ? std::nearbyint((numbers[i] - minimum) / scale) : 0.0f;
        result.codes[i] = uint8_t(std::clamp(int(code) + zero_point, 0, most_code));
    }
    return result;
}

void put16(uint8_t* place, int row, uint16_t value) { std::memcpy(place + 2 * row, &value, 2); }

void put_codes(const uint8_t* codes, int bits, int row, uint8_t* group) {
    if (bits == 8) {
        for (int chunk = 0; chunk < 8; ++chunk) std::memcpy(group + 64 * chunk + 4 * row, codes + 4 * chunk, 4);
        return;
    }
    for (int part = 0; part < 4; ++part)
        for (int i = 0; i < 4; ++i)
            group[64 * part + 4 * row + i] =
                uint8_t((codes[4 * part + i] & 15) | (codes[16 + 4 * part + i] & 15) << 4);
    for (int i = 0; i < 4 && bits == 5; ++i) {
        uint8_t fifth = 0;
        for (int chunk = 0; chunk < 8; ++chunk) fifth |= uint8_t((codes[4 * chunk + i] >> 4 & 1) << chunk);
        group[256 + 4 * row + i] = fifth;
    }
    for (int part = 0; part < 2 && bits == 6; ++part)
        for (int i = 0; i < 4; ++i) {
            uint8_t high = 0;
            for (int chunk = 0; chunk < 4; ++chunk)
                high |= uint8_t((codes[16 * part + 4 * chunk + i] >> 4 & 3) << 2 * chunk);
            group[256 + 64 * part + 4 * row + i] = high;
        }
}

// Formats whose blocks hold their codes as tiles do, only row by row: whole words are moved.
bool move_codes(Stored type, const uint8_t* block, int row, uint8_t* group) {
    if (type == Stored::q4_0 || type == Stored::q4_1) {
        const uint8_t* halves = block + (type == Stored::q4_0 ? 2 : 4);
        for (int part = 0; part < 4; ++part) std::memcpy(group + 64 * part + 4 * row, halves + 4 * part, 4);
        return true;
    }
    if (type == Stored::q8_0) {
        for (int chunk = 0; chunk < 8; ++chunk) {
            uint32_t four;
            std::memcpy(&four, block + 2 + 4 * chunk, 4);
            four ^= 0x80808080;
            std::memcpy(group + 64 * chunk + 4 * row, &four, 4);
        }
        return true;
    }
    return false;
}

void put_scales(const StoredGroup& stored, Scales kind, int row, size_t group, uint8_t* scales) {
    if (kind == Scales::half || kind == Scales::half_minimum) {
        uint8_t* place = scales + group * (kind == Scales::half ? 32 : 64);
        put16(place, row, stored.factor);
        if (kind == Scales::half_minimum) put16(place + 32, row, stored.minimum_factor);
        return;
    }
    uint8_t* factors = scales + group / kNestedGroups * (64 + kNestedGroups * 32);
    uint8_t* numbers = factors + 64 + group % kNestedGroups * 32;
    put16(factors, row, stored.factor);
    numbers[row] = stored.scale[0];
    numbers[16 + row] = kind == Scales::nested_16 ? stored.scale[1] : stored.minimum;
    if (kind == Scales::nested) put16(factors + 32, row, stored.minimum_factor);
}

void pack_floats(Stored type, const uint8_t* row_data, size_t columns, Format format, int row, uint8_t* tile) {
    for (size_t group = 0; group < groups_of(columns); ++group) {
        float numbers[kGroup];
        read_floats(type, row_data, columns, group, numbers);
        for (size_t i = 0; i < kGroup && group * kGroup + i < columns; ++i) {
            size_t place = (group * kGroup + i) * kTileRows + row;
            if (format == Format::float32) std::memcpy(tile + 4 * place, &numbers[i], 4);
            else put16(tile, int(place), format == Format::float16 ? float16_of_float(numbers[i]) : bfloat16_of_float(numbers[i]));
        }
    }
}

}  // namespace

bool can_pack(Stored type, Format format) {
    return is_same(type, format) || !is_quantized(format) || format == Format::q8_0 || format == Format::q4_1;
}

void pack_tile(Stored type, const uint8_t* const (&rows)[kTileRows], size_t columns, Format format, uint8_t* tile) {
    size_t groups = groups_of(columns);
    std::memset(tile, 0, tile_bytes(format, columns));
    FormatTraits traits = traits_of(format);
    for (int row = 0; row < kTileRows; ++row) {
        if (!rows[row]) continue;
        if (!is_quantized(format)) {
            pack_floats(type, rows[row], columns, format, row, tile);
            continue;
        }
        uint8_t* scales = tile + groups * code_bytes(format);
        for (size_t group = 0; group < groups; ++group) {
            uint8_t* place = tile + group * code_bytes(format);
            StoredGroup stored;
            if (is_same(type, format)) {
                if (move_codes(type, rows[row] + group * block_bytes(type), row, place)) {
                    put_scales(read_factors(type, rows[row], group), traits.scales, row, group, scales);
                    continue;
                }
                stored = read_group(type, rows[row], group);
            } else {
                float numbers[kGroup];
                read_floats(type, rows[row], columns, group, numbers);
                stored = quantize_group(numbers, format);
            }
            put_codes(stored.codes, traits.bits, row, place);
            put_scales(stored, traits.scales, row, group, scales);
        }
    }
}

}  // namespace native
