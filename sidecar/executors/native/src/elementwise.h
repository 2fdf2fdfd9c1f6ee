// Work on one token's numbers: norm, quantization, rotation, exponentials.
#pragma once

#include "kernels.h"
#include "unroll.h"

namespace native {

// exp(x), right to about 2 units in the last place; 0 below -87, where float32 has only subnormals.
// Cephes (Moshier): 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2].
template <class Simd>
inline typename Simd::F exponent(typename Simd::F x) {
    using F = typename Simd::F;
    F bounded = Simd::min(Simd::max(x, Simd::set(-87.0f)), Simd::set(88.0f));
    auto whole = Simd::round_to_int(Simd::mul(bounded, Simd::set(1.44269504088896341f)));
    F n = Simd::to_float(whole);
    F rest = Simd::fma(n, Simd::set(-0.693359375f), bounded);
    rest = Simd::fma(n, Simd::set(2.12194440e-4f), rest);
    F polynomial = Simd::set(1.9875691500e-4f);
    for (float coefficient : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
        polynomial = Simd::fma(polynomial, rest, Simd::set(coefficient));
    F result = Simd::fma(Simd::mul(polynomial, rest), rest, Simd::add(rest, Simd::set(1.0f)));
    return Simd::zero_below(Simd::mul(result, Simd::power_of_two(whole)), x, -87.0f);
}

// x / (1 + exp(-x)). Elfwing et al. (2018).
template <class Simd>
inline typename Simd::F silu(typename Simd::F x) {
    auto one = Simd::set(1.0f);
    return Simd::div(x, Simd::add(one, exponent<Simd>(Simd::sub(Simd::zero(), x))));
}

// Sizes that are no multiple of 16 are read through a copy padded with zeros.
template <class Simd>
inline typename Simd::F load_part(const float* from, size_t count, float padding = 0) {
    if (count >= 16) return Simd::load(from);
    float lanes[16];
    for (size_t i = 0; i < 16; ++i) lanes[i] = i < count ? from[i] : padding;
    return Simd::load(lanes);
}

template <class Simd>
inline void store_part(float* to, size_t count, typename Simd::F value) {
    if (count >= 16) return Simd::store(to, value);
    float lanes[16];
    Simd::store(lanes, value);
    for (size_t i = 0; i < count; ++i) to[i] = lanes[i];
}

template <class Simd>
void normalize(const float* x, const float* weight, size_t size, float epsilon, float* out) {
    auto squares = Simd::zero();
    for (size_t i = 0; i < size; i += 16) {
        auto part = load_part<Simd>(x + i, size - i);
        squares = Simd::fma(part, part, squares);
    }
    auto factor = Simd::set(1.0f / __builtin_sqrtf(Simd::sum(squares) / float(size) + epsilon));
    for (size_t i = 0; i < size; i += 16) {
        auto part = Simd::mul(load_part<Simd>(x + i, size - i), factor);
        store_part<Simd>(out + i, size - i, Simd::mul(part, load_part<Simd>(weight + i, size - i)));
    }
}

// Symmetric: the largest magnitude of a group becomes 127.
template <class Simd>
void quantize(const float* x, size_t columns, ActivationGroup* block, int token) {
    for (size_t begin = 0; begin < columns; begin += kGroup, ++block) {
        size_t left = columns - begin;
        auto low = load_part<Simd>(x + begin, left);
        auto high = left > 16 ? load_part<Simd>(x + begin + 16, left - 16) : Simd::zero();
        float largest = Simd::largest(Simd::max(Simd::abs(low), Simd::abs(high)));
        float scale = largest / 127.0f;
        auto inverse = Simd::set(largest > 0 ? 127.0f / largest : 0.0f);
        auto first = Simd::round_to_int(Simd::mul(low, inverse));
        auto second = Simd::round_to_int(Simd::mul(high, inverse));
        Simd::store_bytes(block->codes[token], first);
        Simd::store_bytes(block->codes[token] + 16, second);
        int32_t first_sum = Simd::sum_int(first);
        // What is not finite has codes of any size: their sum means nothing, but may wrap around.
        int32_t sum = int32_t(uint32_t(first_sum) + uint32_t(Simd::sum_int(second)));
        block->scale[token] = scale;
        block->scaled_sum[token] = scale * float(sum);
        block->sum[token] = sum;
        block->first_half_sum[token] = first_sum;
    }
}

template <class Simd>
void rotate(float* head, const float* cosines, const float* sines, int half) {
    for (int i = 0; i < half; i += 16) {
        size_t left = size_t(half - i);
        auto first = load_part<Simd>(head + i, left);
        auto second = load_part<Simd>(head + half + i, left);
        auto cosine = load_part<Simd>(cosines + i, left);
        auto sine = load_part<Simd>(sines + i, left);
        auto turned = Simd::fma(first, cosine, Simd::sub(Simd::zero(), Simd::mul(second, sine)));
        store_part<Simd>(head + half + i, left, Simd::fma(second, cosine, Simd::mul(first, sine)));
        store_part<Simd>(head + i, left, turned);
    }
}

template <class Simd>
void divide(float* x, float divisor, size_t size) {
    auto by = Simd::set(divisor);
    for (size_t i = 0; i < size; i += 16) store_part<Simd>(x + i, size - i, Simd::div(load_part<Simd>(x + i, size - i), by));
}

// Four registers, because each of these operations waits for its own last result.
template <class Simd>
inline float largest_of(const float* x, size_t count) {
    auto lowest = Simd::set(-__builtin_inff());
    typename Simd::F parts[4] = {lowest, lowest, lowest, lowest};
    size_t i = 0;
    for (; i + 64 <= count; i += 64) {
        NATIVE_UNROLL
        for (size_t part = 0; part < 4; ++part) parts[part] = Simd::max(parts[part], Simd::load(x + i + 16 * part));
    }
    for (; i < count; i += 16) parts[0] = Simd::max(parts[0], load_part<Simd>(x + i, count - i, -__builtin_inff()));
    return Simd::largest(Simd::max(Simd::max(parts[0], parts[1]), Simd::max(parts[2], parts[3])));
}

template <class Simd>
void maxima(const float* x, size_t count, float* out) {
    for (size_t i = 0; i < count; i += kChunk) *out++ = largest_of<Simd>(x + i, count - i < kChunk ? count - i : kChunk);
}

template <class Simd>
size_t argmax(const float* x, size_t count) {
    constexpr size_t part = 512;
    float largest = -__builtin_inff();
    size_t place = 0;
    for (size_t i = 0; i < count; i += part) {
        float value = largest_of<Simd>(x + i, count - i < part ? count - i : part);
        if (value > largest) largest = value, place = i;
    }
    while (place < count && x[place] != largest) ++place;
    return place < count ? place : 0;
}

// Lanes of doubles and of bits, which `Simd` does not have: the compiler's own vectors do for these.
typedef float FourFloats __attribute__((vector_size(16)));
typedef int32_t FourInts __attribute__((vector_size(16)));
typedef double FourDoubles __attribute__((vector_size(32)));

template <class Simd>
void sums(const float* x, float floor, size_t count, double* out) {
    for (size_t begin = 0; begin < count; begin += kChunk) {
        FourDoubles parts[4] = {};
        size_t end = count - begin < kChunk ? count : begin + kChunk;
        for (size_t i = begin; i < end; i += 16) {
            float padded[16];
            const float* lanes = x + i;
            if (end - i < 16) Simd::store(padded, load_part<Simd>(x + i, end - i)), lanes = padded;
            NATIVE_UNROLL
            for (size_t part = 0; part < 4; ++part) {
                FourFloats four;
                __builtin_memcpy(&four, lanes + 4 * part, sizeof four);
                parts[part] += __builtin_convertvector(four >= floor ? four : FourFloats{}, FourDoubles);
            }
        }
        parts[0] = (parts[0] + parts[1]) + (parts[2] + parts[3]);
        *out++ = (parts[0][0] + parts[0][1]) + (parts[0][2] + parts[0][3]);
    }
}

template <class Simd>
void mask(float* x, const uint32_t* allowed, size_t count) {
    const FourInts bits[2] = {{1, 2, 4, 8}, {16, 32, 64, 128}};
    const FourInts forbidden = FourInts{} + int32_t(0xff800000);  // minus infinity
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        int32_t eight = int32_t(allowed[i / 32] >> i % 32);
        NATIVE_UNROLL
        for (size_t half = 0; half < 2; ++half) {
            FourInts four, is_allowed = (bits[half] & eight) != 0;
            __builtin_memcpy(&four, x + i + 4 * half, sizeof four);
            four = (four & is_allowed) | (forbidden & ~is_allowed);
            __builtin_memcpy(x + i + 4 * half, &four, sizeof four);
        }
    }
    for (; i < count; ++i)
        if (!(allowed[i / 32] >> i % 32 & 1)) x[i] = -__builtin_inff();
}

template <class Simd>
void exponential(const float* x, float offset, float divisor, float* out, size_t count) {
    auto shift = Simd::set(offset), by = Simd::set(divisor);
    for (size_t i = 0; i < count; i += 16) {
        auto part = Simd::div(Simd::sub(load_part<Simd>(x + i, count - i), shift), by);
        store_part<Simd>(out + i, count - i, exponent<Simd>(part));
    }
}

// A sum of zeros is zero unless one of them came of an infinity or of what is no number.
template <class Simd>
bool all_finite(const float* x, size_t count) {
    auto zero = Simd::zero();
    typename Simd::F parts[4] = {zero, zero, zero, zero};
    size_t i = 0;
    for (; i + 64 <= count; i += 64) {
        NATIVE_UNROLL
        for (size_t part = 0; part < 4; ++part)
            parts[part] = Simd::fma(Simd::load(x + i + 16 * part), zero, parts[part]);
    }
    for (; i < count; i += 16) parts[0] = Simd::fma(load_part<Simd>(x + i, count - i), zero, parts[0]);
    return Simd::sum(Simd::add(Simd::add(parts[0], parts[1]), Simd::add(parts[2], parts[3]))) == 0.0f;
}

}  // namespace native
