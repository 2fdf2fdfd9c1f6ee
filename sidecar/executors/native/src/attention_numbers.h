// How keys and values are multiplied, by the type of the cache.
//
// What a lane is multiplied with is a factor: one float32 number, or a pair of bfloat16 numbers
// whose two products one instruction adds. A reading is 16 lanes of one step: a number, or a pair.
#pragma once

#include "kernels.h"
#include "unroll.h"

namespace native {

// Types whose numbers become float32 before they are multiplied. The factor is a float32 number.
template <class Simd, CacheType type>
struct Numbers {
    using Factor = float;
    using Reading = typename Simd::F;
    static constexpr int width = 1;   // numbers of a step
    static constexpr int degree = 5;  // of the polynomial of the weights
    static constexpr size_t element = type == CacheType::float32 ? 4 : type == CacheType::float16 ? 2 : 1;
    static constexpr size_t header = type == CacheType::int8 ? 2 * kBlockSize * sizeof(float) : 0;

    static Reading read(const uint8_t* block, size_t index) {
        const uint8_t* place = block + header + index * element;
        if constexpr (type == CacheType::float32) return Simd::load(reinterpret_cast<const float*>(place));
        else if constexpr (type == CacheType::float16)
            return Simd::load_float16(reinterpret_cast<const uint16_t*>(place));
        else return Simd::load_signed(reinterpret_cast<const int8_t*>(place));
    }
    static Reading values(const uint8_t* block, int head_size, int step, int number) {
        return read(block, size_t(head_size) * kBlockSize + size_t(step) * head_size + number);
    }
    static typename Simd::F multiply(typename Simd::F sum, Reading reading, Factor factor) {
        return Simd::fma(reading, Simd::set(factor), sum);
    }
    static void store(Factor* to, typename Simd::F numbers) { Simd::store(to, numbers); }
};

template <class Simd>
struct Numbers<Simd, CacheType::bfloat16> {
    using Factor = uint32_t;
    using Reading = typename Simd::B;
    static constexpr int width = 2;
    static constexpr int degree = 3;

    static Reading read(const uint8_t* block, size_t index) { return Simd::load_codes(block + index * 4); }
    static Reading values(const uint8_t* block, int head_size, int step, int number) {
        return read(block, size_t(head_size) * (kBlockSize / 2) + size_t(step) * head_size + number);
    }
    static typename Simd::F multiply(typename Simd::F sum, Reading reading, Factor factor) {
        return Simd::dot_bfloat16(sum, reading, factor);
    }
    static void store(Factor* to, typename Simd::F numbers) {
        uint16_t halves[16];
        Simd::store_bfloat16(halves, numbers);
        __builtin_memcpy(to, halves, sizeof halves);
    }
};

// 2^x for x of at most 0, exactly 0 below -127; the polynomial of degree 3 is right to 13 bits, that
// of degree 5 to float32's last one or two. Adding the large number rounds x and leaves the whole
// part, 127 added, in the sum's lowest bits, from where it is shifted to an exponent's place.
template <class Simd, int degree>
inline typename Simd::F power_of_two(typename Simd::F x) {
    constexpr float large = 0x1.8p23f + 127;
    constexpr float three[] = {0.055008743f, 0.242211133f, 0.693282962f};
    constexpr float five[] = {0.00132647355f, 0.00967151765f, 0.0555073395f, 0.240222424f, 0.693147004f};
    const float* coefficients = degree == 3 ? three : five;
    auto bounded = Simd::max(x, Simd::set(-127.0f));
    auto shifted = Simd::add(bounded, Simd::set(large));
    auto rest = Simd::sub(bounded, Simd::sub(shifted, Simd::set(large)));
    auto polynomial = Simd::set(coefficients[0]);
    NATIVE_UNROLL
    for (int i = 1; i < degree; ++i) polynomial = Simd::fma(polynomial, rest, Simd::set(coefficients[i]));
    polynomial = Simd::fma(polynomial, rest, Simd::set(1.0f));
    return Simd::mul(polynomial, Simd::shift_to_exponent(shifted));
}

}  // namespace native
