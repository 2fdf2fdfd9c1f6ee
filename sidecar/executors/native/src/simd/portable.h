// 16 lanes as plain arrays: runs anywhere, and the compiler vectorizes what it can.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "../half.h"

namespace native {

struct Portable {
    struct F { float lane[16]; };
    struct I { int32_t lane[16]; };
    struct B { uint8_t byte[64]; };
    static constexpr const char* name = "portable";
    static constexpr int biased_zero_point = 128;

    template <class Work>
    static F each(Work work) {
        F result;
        for (int i = 0; i < 16; ++i) result.lane[i] = work(i);
        return result;
    }
    template <class Work>
    static B each_byte(Work work) {
        B result;
        for (int i = 0; i < 64; ++i) result.byte[i] = uint8_t(work(i));
        return result;
    }

    static F zero() { return set(0); }
    static F set(float value) { return each([=](int) { return value; }); }
    static F load(const float* from) { return each([=](int i) { return from[i]; }); }
    static void store(float* to, F value) { std::memcpy(to, value.lane, sizeof value.lane); }
    static F load_float16(const uint16_t* from) { return each([=](int i) { return float_of_float16(from[i]); }); }
    static void store_float16(uint16_t* to, F value) {
        for (int i = 0; i < 16; ++i) to[i] = float16_of_float(value.lane[i]);
    }
    static F load_bfloat16(const uint16_t* from) { return each([=](int i) { return float_of_bfloat16(from[i]); }); }
    static F load_unsigned(const uint8_t* from) { return each([=](int i) { return float(from[i]); }); }
    static F load_signed(const int8_t* from) { return each([=](int i) { return float(from[i]); }); }

    static F add(F a, F b) { return each([&](int i) { return a.lane[i] + b.lane[i]; }); }
    static F sub(F a, F b) { return each([&](int i) { return a.lane[i] - b.lane[i]; }); }
    static F mul(F a, F b) { return each([&](int i) { return a.lane[i] * b.lane[i]; }); }
    static F div(F a, F b) { return each([&](int i) { return a.lane[i] / b.lane[i]; }); }
    // Not fused: std::fma is a slow function where the processor has no such instruction.
    static F fma(F a, F b, F c) { return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; }); }
    static F max(F a, F b) { return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; }); }
    static F min(F a, F b) { return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; }); }
    static F abs(F a) { return each([&](int i) { return std::fabs(a.lane[i]); }); }
    static F zero_below(F value, F x, float limit) {
        return each([&](int i) { return x.lane[i] >= limit ? value.lane[i] : 0.0f; });
    }
    static F keep_lanes(F value, int first, int end, float other) {
        return each([&](int i) { return i >= first && i < end ? value.lane[i] : other; });
    }
    static float sum(F a) {
        for (int width = 8; width; width /= 2)
            for (int i = 0; i < width; ++i) a.lane[i] += a.lane[i + width];
        return a.lane[0];
    }
    static float largest(F a) {
        for (int i = 1; i < 16; ++i) a.lane[0] = a.lane[i] > a.lane[0] ? a.lane[i] : a.lane[0];
        return a.lane[0];
    }

    static I set_int(int32_t value) {
        I result;
        for (int32_t& lane : result.lane) lane = value;
        return result;
    }
    static I add_int(I a, I b) {
        for (int i = 0; i < 16; ++i) a.lane[i] += b.lane[i];
        return a;
    }
    static int32_t sum_int(I a) {
        int32_t total = 0;
        for (int32_t lane : a.lane) total += lane;
        return total;
    }
    static F to_float(I a) { return each([&](int i) { return float(a.lane[i]); }); }
    static I round_to_int(F a) {
        I result;
        for (int i = 0; i < 16; ++i) {
            // What no int32 can hold, NaN included, becomes the least one, as on x86.
            float value = a.lane[i];
            result.lane[i] = std::fabs(value) < 0x1p31f ? int32_t(std::nearbyint(value)) : INT32_MIN;
        }
        return result;
    }
    static F power_of_two(I a) { return each([&](int i) { return float_of_bits(uint32_t(a.lane[i] + 127) << 23); }); }
    static void store_bytes(int8_t* to, I a) {
        for (int i = 0; i < 16; ++i) to[i] = int8_t(a.lane[i] > 127 ? 127 : a.lane[i] < -128 ? -128 : a.lane[i]);
    }

    static B load_codes(const uint8_t* from) {
        B result;
        std::memcpy(result.byte, from, sizeof result.byte);
        return result;
    }
    static B low_halves(B a) { return each_byte([&](int i) { return a.byte[i] & 15; }); }
    static B high_halves(B a) { return each_byte([&](int i) { return a.byte[i] >> 4; }); }
    template <int shift>
    static B high_bits(B a, int mask) {
        return each_byte([&](int i) { return (a.byte[i] >> shift & mask) << 4; });
    }
    static B unite(B a, B b) { return each_byte([&](int i) { return a.byte[i] | b.byte[i]; }); }
    static I dot(I sum, B codes, const int8_t* activations) {
        for (int i = 0; i < 64; ++i) sum.lane[i / 4] += int32_t(codes.byte[i]) * activations[i % 4];
        return sum;
    }
    static I dot_biased(I sum, B codes, const int8_t* activations) { return dot(sum, codes, activations); }
};

}  // namespace native
