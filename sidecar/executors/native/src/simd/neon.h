// 16 lanes in four registers: NEON with dot products (ARMv8.2 and later, every Apple M).
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace native {

// Nameless, so that everything made of it is this file's own: one path's code never stands for another's.
namespace {

struct Neon {
    struct F { float32x4_t part[4]; };
    struct I { int32x4_t part[4]; };
    struct B { uint8x16_t part[4]; };
    static constexpr const char* name = "neon-dotprod";
    static constexpr int sums = 6;  // of 16 lanes, that registers hold beside what is multiplied
    // The instruction multiplies signed by signed: codes of 8 bits are made signed as they are used.
    static constexpr int biased_zero_point = 0;

    template <class Work>
    static F each(Work work) { return {{work(0), work(1), work(2), work(3)}}; }
    template <class Work>
    static I each_int(Work work) { return {{work(0), work(1), work(2), work(3)}}; }
    template <class Work>
    static B each_codes(Work work) { return {{work(0), work(1), work(2), work(3)}}; }

    static F zero() { return set(0); }
    static F set(float value) { return each([=](int) { return vdupq_n_f32(value); }); }
    static F load(const float* from) { return each([=](int i) { return vld1q_f32(from + 4 * i); }); }
    static void store(float* to, F value) {
        for (int i = 0; i < 4; ++i) vst1q_f32(to + 4 * i, value.part[i]);
    }
    static F load_float16(const uint16_t* from) {
        return each([=](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from + 4 * i))); });
    }
    static void store_float16(uint16_t* to, F value) {
        for (int i = 0; i < 4; ++i) vst1_u16(to + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(value.part[i])));
    }
    static F load_bfloat16(const uint16_t* from) {
        return each([=](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from + 4 * i), 16)); });
    }
    // Rounds to nearest, ties to even.
    static void store_bfloat16(uint16_t* to, F value) {
        for (int i = 0; i < 4; ++i) {
            uint32x4_t bits = vreinterpretq_u32_f32(value.part[i]);
            uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
            bits = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
            vst1_u16(to + 4 * i, vshrn_n_u32(bits, 16));
        }
    }
    static uint32x4_t widen(uint8x16_t bytes, int part) {
        uint16x8_t words = part < 2 ? vmovl_u8(vget_low_u8(bytes)) : vmovl_u8(vget_high_u8(bytes));
        return part % 2 ? vmovl_u16(vget_high_u16(words)) : vmovl_u16(vget_low_u16(words));
    }
    static F load_unsigned(const uint8_t* from) {
        uint8x16_t bytes = vld1q_u8(from);
        return each([=](int i) { return vcvtq_f32_u32(widen(bytes, i)); });
    }
    static F load_signed(const int8_t* from) {
        uint8x16_t bytes = veorq_u8(vreinterpretq_u8_s8(vld1q_s8(from)), vdupq_n_u8(0x80));
        return each([=](int i) { return vsubq_f32(vcvtq_f32_u32(widen(bytes, i)), vdupq_n_f32(128)); });
    }

    static F add(F a, F b) { return each([&](int i) { return vaddq_f32(a.part[i], b.part[i]); }); }
    static F sub(F a, F b) { return each([&](int i) { return vsubq_f32(a.part[i], b.part[i]); }); }
    static F mul(F a, F b) { return each([&](int i) { return vmulq_f32(a.part[i], b.part[i]); }); }
    static F div(F a, F b) { return each([&](int i) { return vdivq_f32(a.part[i], b.part[i]); }); }
    static F fma(F a, F b, F c) { return each([&](int i) { return vfmaq_f32(c.part[i], a.part[i], b.part[i]); }); }
    static F max(F a, F b) { return each([&](int i) { return vmaxq_f32(a.part[i], b.part[i]); }); }
    static F min(F a, F b) { return each([&](int i) { return vminq_f32(a.part[i], b.part[i]); }); }
    static F abs(F a) { return each([&](int i) { return vabsq_f32(a.part[i]); }); }
    static F choose(uint32x4_t (&kept)[4], F value, float other) {
        return each([&](int i) { return vbslq_f32(kept[i], value.part[i], vdupq_n_f32(other)); });
    }
    static F zero_below(F value, F x, float limit) {
        uint32x4_t kept[4];
        for (int i = 0; i < 4; ++i) kept[i] = vcgeq_f32(x.part[i], vdupq_n_f32(limit));
        return choose(kept, value, 0);
    }
    static F keep_lanes(F value, int first, int end, float other) {
        static const int32_t order[4] = {0, 1, 2, 3};
        uint32x4_t kept[4];
        for (int i = 0; i < 4; ++i) {
            int32x4_t index = vaddq_s32(vld1q_s32(order), vdupq_n_s32(4 * i));
            kept[i] = vandq_u32(vcltq_s32(index, vdupq_n_s32(end)), vcgeq_s32(index, vdupq_n_s32(first)));
        }
        return choose(kept, value, other);
    }
    static float sum(F a) {
        return vaddvq_f32(vaddq_f32(vaddq_f32(a.part[0], a.part[2]), vaddq_f32(a.part[1], a.part[3])));
    }
    static float largest(F a) {
        return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.part[0], a.part[1]), vmaxq_f32(a.part[2], a.part[3])));
    }

    static I set_int(int32_t value) { return each_int([=](int) { return vdupq_n_s32(value); }); }
    static I add_int(I a, I b) { return each_int([&](int i) { return vaddq_s32(a.part[i], b.part[i]); }); }
    static int32_t sum_int(I a) {
        return vaddvq_s32(vaddq_s32(vaddq_s32(a.part[0], a.part[1]), vaddq_s32(a.part[2], a.part[3])));
    }
    static F to_float(I a) { return each([&](int i) { return vcvtq_f32_s32(a.part[i]); }); }
    static I round_to_int(F a) { return each_int([&](int i) { return vcvtnq_s32_f32(a.part[i]); }); }
    static F power_of_two(I a) {
        return each([&](int i) {
            return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(a.part[i], vdupq_n_s32(127)), 23));
        });
    }
    // The lowest 9 bits of each lane, as sign and exponent.
    static F shift_to_exponent(F a) {
        return each([&](int i) { return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(a.part[i]), 23)); });
    }
    static void store_bytes(int8_t* to, I a) {
        int16x8_t low = vcombine_s16(vqmovn_s32(a.part[0]), vqmovn_s32(a.part[1]));
        int16x8_t high = vcombine_s16(vqmovn_s32(a.part[2]), vqmovn_s32(a.part[3]));
        vst1q_s8(to, vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
    }

    static B load_codes(const uint8_t* from) { return each_codes([=](int i) { return vld1q_u8(from + 16 * i); }); }
    static B low_halves(B a) { return each_codes([&](int i) { return vandq_u8(a.part[i], vdupq_n_u8(15)); }); }
    static B high_halves(B a) { return each_codes([&](int i) { return vshrq_n_u8(a.part[i], 4); }); }
    template <int shift>
    static B high_bits(B a, int mask) {
        uint8x16_t kept = vdupq_n_u8(uint8_t(mask << 4));
        int8x16_t moved = vdupq_n_s8(4 - shift);
        return each_codes([&](int i) { return vandq_u8(vshlq_u8(a.part[i], moved), kept); });
    }
    static B unite(B a, B b) { return each_codes([&](int i) { return vorrq_u8(a.part[i], b.part[i]); }); }
    static int8x16_t four(const int8_t* activations) {
        int32_t word;
        std::memcpy(&word, activations, 4);
        return vreinterpretq_s8_s32(vdupq_n_s32(word));
    }
    static I dot(I sum, B codes, const int8_t* activations) {
        int8x16_t same = four(activations);
        return each_int([&](int i) { return vdotq_s32(sum.part[i], vreinterpretq_s8_u8(codes.part[i]), same); });
    }
    static I dot_biased(I sum, B codes, const int8_t* activations) {
        B weights = each_codes([&](int i) { return veorq_u8(codes.part[i], vdupq_n_u8(0x80)); });
        return dot(sum, weights, activations);
    }
    static float32x4_t low_number(uint32x4_t pairs) { return vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16)); }
    static float32x4_t high_number(uint32x4_t pairs) {
        return vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000)));
    }
    // Adds to each lane the products of its 2 bfloat16 numbers with those of `pair`.
    static F dot_bfloat16(F sum, B numbers, uint32_t pair) {
        uint32x4_t same = vdupq_n_u32(pair);
        return each([&](int i) {
            uint32x4_t pairs = vreinterpretq_u32_u8(numbers.part[i]);
            float32x4_t first = vfmaq_f32(sum.part[i], low_number(pairs), low_number(same));
            return vfmaq_f32(first, high_number(pairs), high_number(same));
        });
    }
};

}  // namespace

}  // namespace native
