// 16 lanes in one register: AVX-512 with VNNI (Ice Lake, Sapphire Rapids, Zen 4 and later).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace native {

// Nameless, so that everything made of it is this file's own: one path's code never stands for another's.
namespace {

struct Avx512 {
    using F = __m512;
    using I = __m512i;
    using B = __m512i;
    static constexpr const char* name = "avx512-vnni";
    static constexpr int sums = 24;  // of 16 lanes, that registers hold beside what is multiplied
    static constexpr int biased_zero_point = 128;

    static F zero() { return _mm512_setzero_ps(); }
    static F set(float value) { return _mm512_set1_ps(value); }
    static F load(const float* from) { return _mm512_loadu_ps(from); }
    static void store(float* to, F value) { _mm512_storeu_ps(to, value); }
    static F load_float16(const uint16_t* from) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    }
    static void store_float16(uint16_t* to, F value) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
    }
    static F load_bfloat16(const uint16_t* from) {
        __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
        return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
    }
    // Rounds to nearest, ties to even.
    static void store_bfloat16(uint16_t* to, F value) {
        __m512i bits = _mm512_castps_si512(value);
        __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
        bits = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
        __m256i halves = _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), halves);
    }
    static F load_unsigned(const uint8_t* from) {
        return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
    }
    static F load_signed(const int8_t* from) {
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
    }

    static F add(F a, F b) { return _mm512_add_ps(a, b); }
    static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
    static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
    static F div(F a, F b) { return _mm512_div_ps(a, b); }
    static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
    static F max(F a, F b) { return _mm512_max_ps(a, b); }
    static F min(F a, F b) { return _mm512_min_ps(a, b); }
    static F abs(F a) { return _mm512_abs_ps(a); }
    static F zero_below(F value, F x, float limit) {
        return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, set(limit), _CMP_GE_OQ), value);
    }
    // Lanes from `first` on and below `end` as they are, the others `other`.
    static F keep_lanes(F value, int first, int end, float other) {
        uint32_t below = end >= 16 ? 0xffff : end <= 0 ? 0 : (1u << end) - 1;
        uint32_t before = first >= 16 ? 0xffff : first <= 0 ? 0 : (1u << first) - 1;
        return _mm512_mask_mov_ps(set(other), __mmask16(below & ~before), value);
    }
    static float sum(F a) {
        __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
        __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        four = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
    }
    static float largest(F a) { return _mm512_reduce_max_ps(a); }

    static I set_int(int32_t value) { return _mm512_set1_epi32(value); }
    static I add_int(I a, I b) { return _mm512_add_epi32(a, b); }
    static int32_t sum_int(I a) {
        __m256i eight = _mm256_add_epi32(_mm512_castsi512_si256(a), _mm512_extracti32x8_epi32(a, 1));
        __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
        four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
        return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
    }
    static F to_float(I a) { return _mm512_cvtepi32_ps(a); }
    static I round_to_int(F a) { return _mm512_cvtps_epi32(a); }
    // 2 to the power of each lane, which must lie between -126 and 127.
    static F power_of_two(I a) {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(a, _mm512_set1_epi32(127)), 23));
    }
    // The lowest 9 bits of each lane, as sign and exponent.
    static F shift_to_exponent(F a) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a), 23)); }
    static void store_bytes(int8_t* to, I a) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtsepi32_epi8(a));
    }

    static B load_codes(const uint8_t* from) { return _mm512_loadu_si512(from); }
    static B low_halves(B a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
    static B high_halves(B a) { return low_halves(_mm512_srli_epi16(a, 4)); }
    // Bits `shift` and up of every byte, moved to bit 4 and masked.
    template <int shift>
    static B high_bits(B a, int mask) {
        B moved = shift < 4 ? _mm512_slli_epi16(a, shift < 4 ? 4 - shift : 0)
                            : _mm512_srli_epi16(a, shift < 4 ? 0 : shift - 4);
        return _mm512_and_si512(moved, _mm512_set1_epi8(char(mask << 4)));
    }
    static B unite(B a, B b) { return _mm512_or_si512(a, b); }
    // Adds to each lane the product of its 4 unsigned codes and 4 signed activations.
    static I dot(I sum, B codes, const int8_t* activations) {
        int32_t four;
        std::memcpy(&four, activations, 4);
        return _mm512_dpbusd_epi32(sum, codes, _mm512_set1_epi32(four));
    }
    static I dot_biased(I sum, B codes, const int8_t* activations) { return dot(sum, codes, activations); }
    // Adds to each lane the products of its 2 bfloat16 numbers with those of `pair`.
    static F dot_bfloat16(F sum, B numbers, uint32_t pair) {
        __m512i same = _mm512_set1_epi32(int32_t(pair));
        sum = fma(low_number(numbers), low_number(same), sum);
        return fma(high_number(numbers), high_number(same), sum);
    }
    static F low_number(B pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
    static F high_number(B pairs) {
        return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(int32_t(0xffff0000))));
    }
};

}  // namespace

}  // namespace native
