// 16 lanes in two registers: AVX2, with a dot product of its own where the processor has VNNI.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace native {

// Nameless, so that everything made of it is this file's own: one path's code never stands for another's.
namespace {

// What AVX2 lacks: the product of 4 unsigned codes and 4 signed activations, summed to 32 bits.
struct PlainDot {
    static constexpr const char* name = "avx2";
    // Codes of 8 bits would overflow the 16-bit sums of maddubs: they are made signed instead.
    static constexpr int biased_zero_point = 0;
    static __m256i dot(__m256i sum, __m256i codes, __m256i activations) {
        __m256i pairs = _mm256_maddubs_epi16(codes, activations);
        return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    static __m256i dot_biased(__m256i sum, __m256i codes, __m256i activations) {
        __m256i weights = _mm256_xor_si256(codes, _mm256_set1_epi8(char(0x80)));
        return dot(sum, _mm256_abs_epi8(weights), _mm256_sign_epi8(activations, weights));
    }
};

// Two types for one operation: they are compiled with different instructions, and templates that
// share a name are merged into one when the library is linked.
#if defined(__AVXVNNI__)
struct VexVnniDot {
    static constexpr const char* name = "avx2-vnni";
    static constexpr int biased_zero_point = 128;
    static __m256i dot(__m256i sum, __m256i codes, __m256i activations) {
        return _mm256_dpbusd_avx_epi32(sum, codes, activations);
    }
    static __m256i dot_biased(__m256i sum, __m256i codes, __m256i activations) {
        return dot(sum, codes, activations);
    }
};
#elif defined(__AVX512VNNI__) && defined(__AVX512VL__)
struct EvexVnniDot {
    static constexpr const char* name = "avx512-vnni-256";
    static constexpr int biased_zero_point = 128;
    static __m256i dot(__m256i sum, __m256i codes, __m256i activations) {
        return _mm256_dpbusd_epi32(sum, codes, activations);
    }
    static __m256i dot_biased(__m256i sum, __m256i codes, __m256i activations) {
        return dot(sum, codes, activations);
    }
};
#endif

template <class Dot>
struct Avx2 {
    struct F { __m256 low, high; };
    struct I { __m256i low, high; };
    using B = I;
    static constexpr const char* name = Dot::name;
    static constexpr int sums = 6;  // of 16 lanes, that registers hold beside what is multiplied
    static constexpr int biased_zero_point = Dot::biased_zero_point;

    static F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
    static F set(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
    static F load(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
    static void store(float* to, F value) {
        _mm256_storeu_ps(to, value.low);
        _mm256_storeu_ps(to + 8, value.high);
    }
    static __m128i half_register(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
    static F load_float16(const uint16_t* from) {
        return {_mm256_cvtph_ps(half_register(from)), _mm256_cvtph_ps(half_register(from + 8))};
    }
    static void store_float16(uint16_t* to, F value) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(value.low, _MM_FROUND_TO_NEAREST_INT));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 8), _mm256_cvtps_ph(value.high, _MM_FROUND_TO_NEAREST_INT));
    }
    static __m256 widen_bfloat16(const uint16_t* from) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half_register(from)), 16));
    }
    static F load_bfloat16(const uint16_t* from) { return {widen_bfloat16(from), widen_bfloat16(from + 8)}; }
    // Rounds to nearest, ties to even.
    static __m256i round_bfloat16(__m256 value) {
        __m256i bits = _mm256_castps_si256(value);
        __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
        return _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    }
    static void store_bfloat16(uint16_t* to, F value) {
        __m256i halves = _mm256_packus_epi32(round_bfloat16(value.low), round_bfloat16(value.high));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute4x64_epi64(halves, 0xd8));
    }
    static F load_unsigned(const uint8_t* from) {
        __m128i bytes = half_register(from);
        return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
                _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
    }
    static F load_signed(const int8_t* from) {
        __m128i bytes = half_register(from);
        return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
    }

    static F add(F a, F b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
    static F sub(F a, F b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
    static F mul(F a, F b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
    static F div(F a, F b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
    static F fma(F a, F b, F c) {
        return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
    }
    static F max(F a, F b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
    static F min(F a, F b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
    static F abs(F a) {
        __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
        return {_mm256_and_ps(a.low, magnitude), _mm256_and_ps(a.high, magnitude)};
    }
    static F zero_below(F value, F x, float limit) {
        __m256 least = _mm256_set1_ps(limit);
        return {_mm256_and_ps(value.low, _mm256_cmp_ps(x.low, least, _CMP_GE_OQ)),
                _mm256_and_ps(value.high, _mm256_cmp_ps(x.high, least, _CMP_GE_OQ))};
    }
    static F keep_lanes(F value, int first, int end, float other) {
        __m256 rest = _mm256_set1_ps(other);
        return {_mm256_blendv_ps(rest, value.low, lanes(0, first, end)),
                _mm256_blendv_ps(rest, value.high, lanes(8, first, end))};
    }
    static float sum(F a) {
        __m256 eight = _mm256_add_ps(a.low, a.high);
        __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        four = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
    }
    static float largest(F a) {
        __m256 eight = _mm256_max_ps(a.low, a.high);
        __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        four = _mm_max_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
    }

    static I set_int(int32_t value) { return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)}; }
    static I add_int(I a, I b) { return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)}; }
    static int32_t sum_int(I a) {
        __m256i eight = _mm256_add_epi32(a.low, a.high);
        __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
        four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
        return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
    }
    static F to_float(I a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
    static I round_to_int(F a) { return {_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high)}; }
    static __m256 raise(__m256i a) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(a, _mm256_set1_epi32(127)), 23));
    }
    static F power_of_two(I a) { return {raise(a.low), raise(a.high)}; }
    // The lowest 9 bits of each lane, as sign and exponent.
    static __m256 shift(__m256 a) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a), 23)); }
    static F shift_to_exponent(F a) { return {shift(a.low), shift(a.high)}; }
    static void store_bytes(int8_t* to, I a) {
        __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a.low, a.high), 0xd8);
        __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    }

    static B load_codes(const uint8_t* from) {
        const __m256i* registers = reinterpret_cast<const __m256i*>(from);
        return {_mm256_loadu_si256(registers), _mm256_loadu_si256(registers + 1)};
    }
    static B mask(B a, int bits) {
        __m256i kept = _mm256_set1_epi8(char(bits));
        return {_mm256_and_si256(a.low, kept), _mm256_and_si256(a.high, kept)};
    }
    static B low_halves(B a) { return mask(a, 15); }
    static B high_halves(B a) { return mask({_mm256_srli_epi16(a.low, 4), _mm256_srli_epi16(a.high, 4)}, 15); }
    template <int shift>
    static __m256i move(__m256i a) {
        if constexpr (shift < 4) return _mm256_slli_epi16(a, 4 - shift);
        else return _mm256_srli_epi16(a, shift - 4);
    }
    template <int shift>
    static B high_bits(B a, int bits) {
        return mask({move<shift>(a.low), move<shift>(a.high)}, bits << 4);
    }
    static B unite(B a, B b) { return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)}; }
    static __m256i four(const int8_t* activations) {
        int32_t word;
        std::memcpy(&word, activations, 4);
        return _mm256_set1_epi32(word);
    }
    static I dot(I sum, B codes, const int8_t* activations) {
        __m256i same = four(activations);
        return {Dot::dot(sum.low, codes.low, same), Dot::dot(sum.high, codes.high, same)};
    }
    static I dot_biased(I sum, B codes, const int8_t* activations) {
        __m256i same = four(activations);
        return {Dot::dot_biased(sum.low, codes.low, same), Dot::dot_biased(sum.high, codes.high, same)};
    }
    // Adds to each lane the products of its 2 bfloat16 numbers with those of `pair`.
    static F dot_bfloat16(F sum, B numbers, uint32_t pair) {
        __m256i same = _mm256_set1_epi32(int32_t(pair));
        return {add_products(sum.low, numbers.low, same), add_products(sum.high, numbers.high, same)};
    }

  private:
    static __m256 low_number(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
    static __m256 high_number(__m256i pairs) {
        return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(int32_t(0xffff0000))));
    }
    static __m256 add_products(__m256 sum, __m256i a, __m256i b) {
        sum = _mm256_fmadd_ps(low_number(a), low_number(b), sum);
        return _mm256_fmadd_ps(high_number(a), high_number(b), sum);
    }
    static __m256 lanes(int offset, int first, int end) {
        __m256i index = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(offset));
        __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(end), index);
        __m256i before = _mm256_cmpgt_epi32(_mm256_set1_epi32(first), index);
        return _mm256_castsi256_ps(_mm256_andnot_si256(before, below));
    }
};

}  // namespace

}  // namespace native
