// 16-bit floats to 32 bits and back, one number at a time, the same on every processor.
#pragma once

#include <cstdint>
#include <cstring>

namespace native {

inline float float_of_bits(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline uint32_t bits_of_float(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float float_of_bfloat16(uint16_t half) { return float_of_bits(uint32_t(half) << 16); }

// Rounds to nearest, ties to even; a NaN stays one.
inline uint16_t bfloat16_of_float(float value) {
    uint32_t bits = bits_of_float(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return uint16_t(bits >> 16) | 0x40;
    return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// IEEE binary16, subnormals included.
inline float float_of_float16(uint16_t half) {
    uint32_t sign = uint32_t(half & 0x8000) << 16;
    uint32_t magnitude = half & 0x7fff;
    if (magnitude >= 0x7c00) return float_of_bits(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    // Moving the exponent by multiplication makes subnormals right without a case of their own.
    float scaled = float_of_bits(magnitude << 13) * 0x1p112f;
    return float_of_bits(sign | bits_of_float(scaled));
}

// Rounds to nearest, ties to even; what is too large becomes infinity.
inline uint16_t float16_of_float(float value) {
    uint32_t bits = bits_of_float(value);
    uint16_t sign = uint16_t(bits >> 16 & 0x8000);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return sign | 0x7e00;
    if (magnitude >= 0x477ff000) return sign | 0x7c00;
    if (magnitude < 0x38800000) {
        // Adding 0.5 leaves the subnormal's bits at the bottom of the sum, rounded.
        float aligned = float_of_bits(magnitude) + 0.5f;
        return sign | uint16_t(bits_of_float(aligned) - bits_of_float(0.5f));
    }
    uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return sign | uint16_t((rounded - 0x38000000) >> 13);
}

}  // namespace native
