// 16 lanes in four of the compiler's own vectors: runs on any little-endian processor, and fast
// where registers hold 16 bytes, as on every x86-64 and every aarch64.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "../half.h"

namespace native {

// Nameless, so that everything made of it is this file's own: one path's code never stands for another's.
namespace {

struct Portable {
    typedef float Floats __attribute__((vector_size(16)));
    typedef int32_t Ints __attribute__((vector_size(16)));
    typedef uint32_t Words __attribute__((vector_size(16)));
    typedef int16_t Shorts __attribute__((vector_size(16)));
    typedef uint16_t Pairs __attribute__((vector_size(16)));
    typedef uint8_t Bytes __attribute__((vector_size(16)));
    struct F { Floats part[4]; };
    struct I { Ints part[4]; };
    struct B { Bytes part[4]; };
    static constexpr const char* name = "portable";
    // More than registers hold, but what is read is converted once for them all, which costs more.
    static constexpr int sums = 6;
    static constexpr int biased_zero_point = 128;

    template <class Work>
    static F each(Work work) { return {{work(0), work(1), work(2), work(3)}}; }
    template <class Work>
    static I each_int(Work work) { return {{work(0), work(1), work(2), work(3)}}; }
    template <class Work>
    static B each_codes(Work work) { return {{work(0), work(1), work(2), work(3)}}; }

    static Floats same(float value) { return Floats{value, value, value, value}; }
    static Ints same_int(int32_t value) { return Ints{value, value, value, value}; }
    static Words same_word(uint32_t value) { return Words{value, value, value, value}; }
    // Lanes of `yes` where the mask's bits are set, of `no` elsewhere.
    static Floats choose(Ints mask, Floats yes, Floats no) { return Floats((mask & Ints(yes)) | (~mask & Ints(no))); }
    static Floats magnitude(Floats value) { return Floats(Ints(value) & same_int(0x7fffffff)); }
    static Words four_words(const uint16_t* from) { return Words{from[0], from[1], from[2], from[3]}; }

    static F zero() { return set(0); }
    static F set(float value) { return each([=](int) { return same(value); }); }
    static F load(const float* from) {
        F result;
        std::memcpy(result.part, from, sizeof result.part);
        return result;
    }
    static void store(float* to, F value) { std::memcpy(to, value.part, sizeof value.part); }
    // As half.h has it, subnormals included.
    static Floats widen_float16(Words half) {
        Words magnitude = half & same_word(0x7fff);
        Floats scaled = Floats(magnitude << 13) * same(0x1p112f);
        Floats special = Floats(magnitude << 13 | same_word(0x7f800000));
        Floats value = choose(Ints(magnitude >= same_word(0x7c00)), special, scaled);
        return Floats(Words(value) | (half & same_word(0x8000)) << 16);
    }
    static F load_float16(const uint16_t* from) {
        return each([=](int i) { return widen_float16(four_words(from + 4 * i)); });
    }
    static void store_float16(uint16_t* to, F value) {
        for (int i = 0; i < 16; ++i) to[i] = float16_of_float(value.part[i / 4][i % 4]);
    }
    static F load_bfloat16(const uint16_t* from) {
        return each([=](int i) { return Floats(four_words(from + 4 * i) << 16); });
    }
    static void store_bfloat16(uint16_t* to, F value) {
        for (int i = 0; i < 16; ++i) to[i] = bfloat16_of_float(value.part[i / 4][i % 4]);
    }
    template <class Byte>
    static F load_bytes(const Byte* from) {
        return each([=](int i) {
            const Byte* four = from + 4 * i;
            return Floats{float(four[0]), float(four[1]), float(four[2]), float(four[3])};
        });
    }
    static F load_unsigned(const uint8_t* from) { return load_bytes(from); }
    static F load_signed(const int8_t* from) { return load_bytes(from); }

    static F add(F a, F b) { return each([&](int i) { return a.part[i] + b.part[i]; }); }
    static F sub(F a, F b) { return each([&](int i) { return a.part[i] - b.part[i]; }); }
    static F mul(F a, F b) { return each([&](int i) { return a.part[i] * b.part[i]; }); }
    static F div(F a, F b) { return each([&](int i) { return a.part[i] / b.part[i]; }); }
    // Not fused: std::fma is a slow function where the processor has no such instruction.
    static F fma(F a, F b, F c) { return each([&](int i) { return a.part[i] * b.part[i] + c.part[i]; }); }
    static F max(F a, F b) { return each([&](int i) { return larger(a.part[i], b.part[i]); }); }
    static F min(F a, F b) { return each([&](int i) { return choose(a.part[i] < b.part[i], a.part[i], b.part[i]); }); }
    static F abs(F a) { return each([&](int i) { return magnitude(a.part[i]); }); }
    static F zero_below(F value, F x, float limit) {
        return each([&](int i) { return Floats((x.part[i] >= same(limit)) & Ints(value.part[i])); });
    }
    static F keep_lanes(F value, int first, int end, float other) {
        return each([&](int i) {
            Ints lane = Ints{0, 1, 2, 3} + same_int(4 * i);
            return choose((lane >= same_int(first)) & (lane < same_int(end)), value.part[i], same(other));
        });
    }
    static float sum(F a) {
        Floats four = (a.part[0] + a.part[2]) + (a.part[1] + a.part[3]);
        return (four[0] + four[2]) + (four[1] + four[3]);
    }
    static float largest(F a) {
        Floats four = larger(larger(a.part[0], a.part[1]), larger(a.part[2], a.part[3]));
        float low = four[0] > four[1] ? four[0] : four[1], high = four[2] > four[3] ? four[2] : four[3];
        return low > high ? low : high;
    }

    static I set_int(int32_t value) { return each_int([=](int) { return same_int(value); }); }
    static I add_int(I a, I b) { return each_int([&](int i) { return a.part[i] + b.part[i]; }); }
    static int32_t sum_int(I a) {
        Words four = Words(a.part[0]) + Words(a.part[1]) + Words(a.part[2]) + Words(a.part[3]);
        return int32_t(four[0] + four[1] + four[2] + four[3]);
    }
    static F to_float(I a) { return each([&](int i) { return __builtin_convertvector(a.part[i], Floats); }); }
    // To nearest, ties to even: what lies beyond 2^23 has no fraction, and adding 2^23 rounds the rest.
    static I round_to_int(F a) {
        return each_int([&](int i) {
            Floats size = magnitude(a.part[i]);
            Floats whole = size + same(0x1p23f) - same(0x1p23f);
            Floats rounded = Floats(Ints(whole) | (Ints(a.part[i]) & same_int(INT32_MIN)));
            rounded = choose(size < same(0x1p23f), rounded, a.part[i]);
            // What no int32 can hold, NaN included, becomes the least one, as on x86.
            return __builtin_convertvector(choose(size < same(0x1p31f), rounded, same(-0x1p31f)), Ints);
        });
    }
    static F power_of_two(I a) {
        return each([&](int i) { return Floats(Words(a.part[i] + same_int(127)) << 23); });
    }
    // The lowest 9 bits of each lane, as sign and exponent.
    static F shift_to_exponent(F a) {
        return each([&](int i) { return Floats(Words(a.part[i]) << 23); });
    }
    static void store_bytes(int8_t* to, I a) {
        for (int i = 0; i < 16; ++i) {
            int32_t value = a.part[i / 4][i % 4];
            to[i] = int8_t(value > 127 ? 127 : value < -128 ? -128 : value);
        }
    }

    static B load_codes(const uint8_t* from) {
        B result;
        std::memcpy(result.part, from, sizeof result.part);
        return result;
    }
    static Bytes same_byte(int value) { return Bytes(same_word(uint32_t(value) * 0x01010101)); }
    static B low_halves(B a) { return each_codes([&](int i) { return a.part[i] & same_byte(15); }); }
    static B high_halves(B a) {
        return each_codes([&](int i) { return Bytes(Pairs(a.part[i]) >> 4) & same_byte(15); });
    }
    // Bits `shift` and up of every byte, moved to bit 4; what comes from the byte beside it is masked.
    template <int shift>
    static B high_bits(B a, int mask) {
        return each_codes([&](int i) {
            Pairs pairs = Pairs(a.part[i]);
            if constexpr (shift < 4) pairs <<= 4 - shift;
            else pairs >>= shift - 4;
            return Bytes(pairs) & same_byte(mask << 4);
        });
    }
    static B unite(B a, B b) { return each_codes([&](int i) { return a.part[i] | b.part[i]; }); }

    // Each 32-bit lane: the product of its two 16-bit numbers with those of `b`, added up.
    static Ints multiply_pairs(Pairs a, Shorts b) {
#if defined(__SSE2__)
        return Ints(_mm_madd_epi16(__m128i(a), __m128i(b)));
#else
        // A code of 8 bits times an activation fits 16 bits.
        Ints products = Ints(Shorts(a) * b);
        return (Ints(Words(products) << 16) >> 16) + (products >> 16);
#endif
    }
    // Even and odd bytes apart, as 16-bit numbers: they stay in their row's lane.
    static I dot(I sum, B codes, const int8_t* activations) {
        int32_t word;
        std::memcpy(&word, activations, 4);
        Shorts all = Shorts(same_int(word));
        Shorts odd = all >> 8, even = Shorts(Pairs(all) << 8) >> 8;
        return each_int([&](int i) {
            Pairs pairs = Pairs(codes.part[i]);
            return sum.part[i] + multiply_pairs(pairs & Pairs(same_word(0x00ff00ff)), even) + multiply_pairs(pairs >> 8, odd);
        });
    }
    static I dot_biased(I sum, B codes, const int8_t* activations) { return dot(sum, codes, activations); }
    // Adds to each lane the products of its 2 bfloat16 numbers with those of `pair`.
    static F dot_bfloat16(F sum, B numbers, uint32_t pair) {
        Words same = same_word(pair);
        return each([&](int i) {
            Words pairs = Words(numbers.part[i]);
            Floats first = sum.part[i] + low_number(pairs) * low_number(same);
            return first + high_number(pairs) * high_number(same);
        });
    }

  private:
    static Floats low_number(Words pairs) { return Floats(pairs << 16); }
    static Floats high_number(Words pairs) { return Floats(pairs & same_word(0xffff0000)); }
    static Floats larger(Floats a, Floats b) { return choose(a > b, a, b); }
};

}  // namespace

}  // namespace native
