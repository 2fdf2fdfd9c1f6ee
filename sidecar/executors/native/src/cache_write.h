// Writing one token's key and value into its slot of a cache block. See CacheView for the layout.
#pragma once

#include "elementwise.h"
#include "kernels.h"

namespace native {

// Keys are scattered, 16 positions apart; values lie together, or by pairs of positions. As int8, each token and head has
// one scale for its key and one for its value.
template <class Simd>
bool write_cache(const CacheView& cache, int32_t block, int slot, const float* key, const float* value) {
    uint8_t* memory = cache.memory + size_t(block) * cache.stride;
    size_t size = size_t(cache.head_size), values = size * kBlockSize + size_t(slot) * size;
    if (cache.type == CacheType::float32) {
        float* numbers = reinterpret_cast<float*>(memory);
        for (size_t i = 0; i < size; ++i) numbers[i * kBlockSize + slot] = key[i];
        for (size_t i = 0; i < size; ++i) numbers[values + i] = value[i];
        return all_finite<Simd>(key, size) && all_finite<Simd>(value, size);
    }
    if (cache.type == CacheType::float16) {
        uint16_t* numbers = reinterpret_cast<uint16_t*>(memory);
        bool finite = true;
        auto largest = Simd::zero();
        for (size_t i = 0; i < size; i += 16) {
            uint16_t halves[16];
            auto keys = Simd::load(key + i), part = Simd::load(value + i);
            largest = Simd::max(largest, Simd::max(Simd::abs(keys), Simd::abs(part)));
            Simd::store_float16(halves, keys);
            for (size_t j = 0; j < 16; ++j) numbers[(i + j) * kBlockSize + slot] = halves[j];
            Simd::store_float16(numbers + values + i, part);
        }
        finite = Simd::largest(largest) < 65520.0f;
        return finite && all_finite<Simd>(key, size) && all_finite<Simd>(value, size);
    }
    if (cache.type == CacheType::bfloat16) {
        uint16_t* numbers = reinterpret_cast<uint16_t*>(memory);
        uint16_t* pairs = numbers + size * kBlockSize + size_t(slot / 2) * size * 2 + size_t(slot % 2);
        auto largest = Simd::zero();
        for (size_t i = 0; i < size; i += 16) {
            uint16_t halves[16];
            auto keys = Simd::load(key + i), part = Simd::load(value + i);
            largest = Simd::max(largest, Simd::max(Simd::abs(keys), Simd::abs(part)));
            Simd::store_bfloat16(halves, keys);
            for (size_t j = 0; j < 16; j += 2)
                __builtin_memcpy(numbers + ((i + j) / 2 * kBlockSize + size_t(slot)) * 2, halves + j, 4);
            Simd::store_bfloat16(halves, part);
            for (size_t j = 0; j < 16; ++j) pairs[2 * (i + j)] = halves[j];
        }
        bool finite = Simd::largest(largest) < 0x1.ffp127f;
        return finite && all_finite<Simd>(key, size) && all_finite<Simd>(value, size);
    }
    float* scales = reinterpret_cast<float*>(memory);
    int8_t* numbers = reinterpret_cast<int8_t*>(memory + 2 * kBlockSize * sizeof(float));
    const float* sources[2] = {key, value};
    for (int which = 0; which < 2; ++which) {
        auto largest = Simd::zero();
        for (size_t i = 0; i < size; i += 16) largest = Simd::max(largest, Simd::abs(Simd::load(sources[which] + i)));
        float top = Simd::largest(largest);
        auto inverse = Simd::set(top > 0 ? 127.0f / top : 0.0f);
        scales[which * kBlockSize + slot] = top / 127.0f;
        for (size_t i = 0; i < size; i += 16) {
            int8_t codes[16];
            Simd::store_bytes(codes, Simd::round_to_int(Simd::mul(Simd::load(sources[which] + i), inverse)));
            for (size_t j = 0; j < 16; ++j) {
                size_t place = which == 0 ? (i + j) * kBlockSize + slot : values + i + j;
                numbers[place] = codes[j];
            }
        }
    }
    return all_finite<Simd>(key, size) && all_finite<Simd>(value, size);
}

}  // namespace native
