#include "stored.h"

#include <algorithm>
#include <cmath>

#include "half.h"

namespace self_check {

using native::Format;
using native::Stored;

namespace {

struct Layout {
    int64_t numbers, bytes;
    std::vector<int> halves;  // places of float16 numbers in a block
};

Layout layout_of(Stored stored) {
    switch (stored) {
        case Stored::float32: return {1, 4, {}};
        case Stored::float16: case Stored::bfloat16: return {1, 2, {}};
        case Stored::q4_0: return {32, 18, {0}};
        case Stored::q4_1: return {32, 20, {0, 2}};
        case Stored::q5_0: return {32, 22, {0}};
        case Stored::q5_1: return {32, 24, {0, 2}};
        case Stored::q8_0: return {32, 34, {0}};
        case Stored::q4_k: return {256, 144, {0, 2}};
        case Stored::q5_k: return {256, 176, {0, 2}};
        default: return {256, 210, {208}};
    }
}

double half_at(const uint8_t* block, int place) {
    return native::float_of_float16(uint16_t(block[place] | block[place + 1] << 8));
}

Weight scaled(double scale, int code, double minimum = 0) {
    return {scale * code + minimum, std::fabs(scale * code) + std::fabs(minimum)};
}

// dequantize_row_q4_0 and its kin.
void read_block_32(Stored stored, const uint8_t* block, Weight* out) {
    double scale = half_at(block, 0), minimum = 0;
    bool has_minimum = stored == Stored::q4_1 || stored == Stored::q5_1;
    bool has_fifth = stored == Stored::q5_0 || stored == Stored::q5_1;
    const uint8_t* next = block + 2;
    if (has_minimum) minimum = half_at(next, 0), next += 2;
    if (stored == Stored::q8_0) {
        for (int i = 0; i < 32; ++i) out[i] = scaled(scale, int8_t(next[i]));
        return;
    }
    uint32_t fifth = 0;
    if (has_fifth) std::memcpy(&fifth, next, 4), next += 4;
    int zero_point = has_minimum ? 0 : has_fifth ? 16 : 8;
    for (int i = 0; i < 16; ++i) {
        int low = (next[i] & 15) | int(fifth >> i & 1) << 4, high = next[i] >> 4 | int(fifth >> (i + 16) & 1) << 4;
        out[i] = scaled(scale, low - zero_point, minimum);
        out[i + 16] = scaled(scale, high - zero_point, minimum);
    }
}

// get_scale_min_k4
void nested_scale(int index, const uint8_t* packed, int& scale, int& minimum) {
    if (index < 4) {
        scale = packed[index] & 63;
        minimum = packed[index + 4] & 63;
    } else {
        scale = (packed[index + 4] & 15) | (packed[index - 4] >> 6) << 4;
        minimum = (packed[index + 4] >> 4) | (packed[index] >> 6) << 4;
    }
}

// dequantize_row_q4_K, dequantize_row_q5_K
void read_block_k(Stored stored, const uint8_t* block, Weight* out) {
    double factor = half_at(block, 0), minimum_factor = half_at(block, 2);
    const uint8_t* high = stored == Stored::q5_k ? block + 16 : nullptr;
    const uint8_t* codes = block + (high ? 48 : 16);
    for (int group = 0; group < 8; ++group) {
        int scale, minimum;
        nested_scale(group, block + 4, scale, minimum);
        for (int i = 0; i < 32; ++i) {
            int code = group % 2 ? codes[group / 2 * 32 + i] >> 4 : codes[group / 2 * 32 + i] & 15;
            if (high && high[i] & 1 << group) code += 16;
            out[group * 32 + i] = scaled(factor * scale, code, -minimum_factor * minimum);
        }
    }
}

// dequantize_row_q6_K
void read_block_q6_k(const uint8_t* block, Weight* out) {
    double factor = half_at(block, 208);
    const uint8_t *low = block, *high = block + 128;
    const int8_t* scales = reinterpret_cast<const int8_t*>(block + 192);
    for (int half = 0; half < 2; ++half, low += 64, high += 32, scales += 8, out += 128)
        for (int i = 0; i < 32; ++i) {
            int codes[4] = {(low[i] & 15) | (high[i] & 3) << 4, (low[i + 32] & 15) | (high[i] >> 2 & 3) << 4,
                            low[i] >> 4 | (high[i] >> 4 & 3) << 4, low[i + 32] >> 4 | (high[i] >> 6 & 3) << 4};
            for (int q = 0; q < 4; ++q) out[32 * q + i] = scaled(factor * scales[2 * q + i / 16], codes[q] - 32);
        }
}

Weight exact(double value) { return {value, std::fabs(value)}; }

void round_group(Weight* group, int64_t count, Format format) {
    double least = 0, most = 0;  // what lies beyond the columns is zero
    for (int64_t i = 0; i < count; ++i) {
        least = i == 0 && count == 32 ? group[i].value : std::min(least, group[i].value);
        most = i == 0 && count == 32 ? group[i].value : std::max(most, group[i].value);
    }
    auto half = [](float value) { return native::float_of_float16(native::float16_of_float(value)); };
    bool is_q8 = format == Format::q8_0;
    float scale = half(is_q8 ? float(std::max(-least, most)) / 127.0f : (float(most) - float(least)) / 15.0f);
    float minimum = is_q8 ? 0.0f : half(float(least));
    for (int64_t i = 0; i < count; ++i) {
        float code = scale > 0 ? std::nearbyint((float(group[i].value) - minimum) / scale) : 0.0f;
        code = std::clamp(code, is_q8 ? -128.0f : 0.0f, is_q8 ? 127.0f : 15.0f);
        group[i] = scaled(scale, int(code), minimum);
    }
}

}  // namespace

int64_t block_of(Stored stored) { return layout_of(stored).numbers; }

Tensor random_tensor(Stored stored, int64_t rows, int64_t columns, Random& random, float size) {
    Layout layout = layout_of(stored);
    int64_t blocks = rows * columns / layout.numbers;
    Tensor tensor{stored, rows, columns, std::vector<uint8_t>(size_t(blocks * layout.bytes))};
    for (uint8_t& byte : tensor.bytes) byte = uint8_t(random.bits());
    for (int64_t block = 0; block < blocks; ++block) {
        uint8_t* place = tensor.bytes.data() + block * layout.bytes;
        float number = random.real(-size, size);
        uint16_t half = stored == Stored::bfloat16 ? native::bfloat16_of_float(number) : native::float16_of_float(number);
        if (stored == Stored::float32) std::memcpy(place, &number, 4);
        else if (layout.numbers == 1) std::memcpy(place, &half, 2);
        // Codes go up to 127, nested scales multiply once more.
        float part = size / (layout.numbers == 256 ? 1024.0f : stored == Stored::q8_0 ? 128.0f : 16.0f);
        for (int offset : layout.halves) {
            half = native::float16_of_float(random.real(-part, part));
            std::memcpy(place + offset, &half, 2);
        }
    }
    return tensor;
}

std::vector<Weight> weights_of(const Tensor& tensor) {
    Layout layout = layout_of(tensor.stored);
    std::vector<Weight> weights(size_t(tensor.rows * tensor.columns));
    const uint8_t* block = tensor.bytes.data();
    for (size_t i = 0; i < weights.size(); i += size_t(layout.numbers), block += layout.bytes) {
        float number;
        uint16_t half = uint16_t(block[0] | block[1] << 8);
        switch (tensor.stored) {
            case Stored::float32: std::memcpy(&number, block, 4), weights[i] = exact(number); break;
            case Stored::float16: weights[i] = exact(native::float_of_float16(half)); break;
            case Stored::bfloat16: weights[i] = exact(native::float_of_bfloat16(half)); break;
            case Stored::q4_k: case Stored::q5_k: read_block_k(tensor.stored, block, &weights[i]); break;
            case Stored::q6_k: read_block_q6_k(block, &weights[i]); break;
            default: read_block_32(tensor.stored, block, &weights[i]); break;
        }
    }
    return weights;
}

std::vector<Weight> weights_in(const Tensor& tensor, Format format) {
    std::vector<Weight> weights = weights_of(tensor);
    if (int(format) == int(tensor.stored)) return weights;
    if (format == Format::float32) return weights;
    for (size_t row = 0; row < size_t(tensor.rows); ++row)
        for (int64_t column = 0; column < tensor.columns; column += 32) {
            Weight* group = &weights[row * size_t(tensor.columns) + size_t(column)];
            int64_t count = std::min<int64_t>(32, tensor.columns - column);
            if (native::is_quantized(format)) round_group(group, count, format);
            for (int64_t i = 0; i < count && !native::is_quantized(format); ++i) {
                float value = float(group[i].value);
                group[i] = exact(format == Format::float16 ? native::float_of_float16(native::float16_of_float(value))
                                                           : native::float_of_bfloat16(native::bfloat16_of_float(value)));
            }
        }
    return weights;
}

}  // namespace self_check
