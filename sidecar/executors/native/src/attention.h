// Attention straight from cache blocks, in spans of 256 positions counted from position 0.
//
// Keys lie by number, 16 positions side by side, so that one lane is one position; values lie by
// position. A span's scores, its largest score, its weights and its weighted values come first
// (a Partial); spans are then merged in ascending order. A span's result depends on one query
// and its keys alone, so it does not matter which thread computes it, or beside which queries.
#pragma once

#include "elementwise.h"
#include "kernels.h"
#include "unroll.h"

namespace native {

template <class Simd, CacheType type>
struct CacheReader {
    static constexpr size_t element = type == CacheType::float32 ? 4 : type == CacheType::float16 ? 2 : 1;
    static constexpr size_t header = type == CacheType::int8 ? 2 * kBlockSize * sizeof(float) : 0;
    const uint8_t* block;
    int head_size;

    const float* key_scales() const { return reinterpret_cast<const float*>(block); }
    const float* value_scales() const { return key_scales() + kBlockSize; }
    typename Simd::F read(size_t index) const {
        const uint8_t* place = block + header + index * element;
        if constexpr (type == CacheType::float32) return Simd::load(reinterpret_cast<const float*>(place));
        else if constexpr (type == CacheType::float16)
            return Simd::load_float16(reinterpret_cast<const uint16_t*>(place));
        else return Simd::load_signed(reinterpret_cast<const int8_t*>(place));
    }
    typename Simd::F keys(int number) const { return read(size_t(number) * kBlockSize); }
    typename Simd::F values(int slot, int number) const {
        return read(size_t(head_size) * kBlockSize + size_t(slot) * head_size + number);
    }
};

// Scores of `rows` queries against the 16 positions of one block. Numbers are taken in turn into
// `Simd::chains` sums, so that no instruction waits for the one before.
template <class Simd, CacheType type, int rows>
inline void score_block(const CacheReader<Simd, type>& cache, const float (*queries)[kMaxHeadSize],
                        typename Simd::F (&scores)[rows]) {
    constexpr int chains = Simd::chains;
    typename Simd::F sums[chains][rows];
    NATIVE_UNROLL
    for (auto& chain : sums)
        NATIVE_UNROLL
        for (auto& sum : chain) sum = Simd::zero();
    for (int number = 0; number < cache.head_size; number += chains) {
        NATIVE_UNROLL
        for (int chain = 0; chain < chains; ++chain) {
            auto keys = cache.keys(number + chain);
            NATIVE_UNROLL
            for (int row = 0; row < rows; ++row)
                sums[chain][row] = Simd::fma(keys, Simd::set(queries[row][number + chain]), sums[chain][row]);
        }
    }
    NATIVE_UNROLL
    for (int row = 0; row < rows; ++row) {
        scores[row] = sums[0][row];
        if constexpr (chains == 2) scores[row] = Simd::add(scores[row], sums[1][row]);
    }
    if constexpr (type == CacheType::int8) {
        auto scales = Simd::load(cache.key_scales());
        NATIVE_UNROLL
        for (auto& score : scores) score = Simd::mul(score, scales);
    }
}

// Adds weight times value over a span's blocks, for `parts` registers of numbers from `begin` on.
template <class Simd, CacheType type, int rows, int parts>
inline void weigh_values(const CacheView& view, const int32_t* blocks, int begin_block, int end_block,
                         const float (*weights)[kSpan], int begin, float* const* out) {
    typename Simd::F sums[rows][parts];
    NATIVE_UNROLL
    for (auto& row : sums)
        NATIVE_UNROLL
        for (auto& sum : row) sum = Simd::zero();
    for (int block = begin_block; block < end_block; ++block) {
        CacheReader<Simd, type> cache{view.memory + size_t(blocks[block]) * view.stride, view.head_size};
        for (int slot = 0; slot < kBlockSize; ++slot) {
            typename Simd::F values[parts];
            NATIVE_UNROLL
            for (int part = 0; part < parts; ++part) values[part] = cache.values(slot, begin + 16 * part);
            NATIVE_UNROLL
            for (int row = 0; row < rows; ++row) {
                float weight = weights[row][block * kBlockSize + slot];
                if constexpr (type == CacheType::int8) weight *= cache.value_scales()[slot];
                NATIVE_UNROLL
                for (int part = 0; part < parts; ++part)
                    sums[row][part] = Simd::fma(values[part], Simd::set(weight), sums[row][part]);
            }
        }
    }
    NATIVE_UNROLL
    for (int row = 0; row < rows; ++row)
        NATIVE_UNROLL
        for (int part = 0; part < parts; ++part) Simd::store(out[row] + begin + 16 * part, sums[row][part]);
}

template <class Simd, CacheType type, int rows>
void attend_rows(const CacheView& view, const int32_t* block_table, int span, const Queries& queries,
                 Partial* partials) {
    alignas(64) float packed[rows][kMaxHeadSize];
    alignas(64) float weights[rows][kSpan];
    int origin = span * kSpan;
    int first = kSpan, last = -1;
    float* out[rows];
    NATIVE_UNROLL
    for (int row = 0; row < rows; ++row) {
        for (int i = 0; i < view.head_size; ++i) packed[row][i] = queries.values[row][i];
        first = queries.first[row] - origin < first ? queries.first[row] - origin : first;
        last = queries.last[row] - origin > last ? queries.last[row] - origin : last;
        out[row] = partials[row].values;
    }
    int begin_block = first < 0 ? 0 : first / kBlockSize;
    int end_block = last / kBlockSize + 1 > kSpanBlocks ? kSpanBlocks : last / kBlockSize + 1;
    const int32_t* blocks = block_table + span * kSpanBlocks;

    typename Simd::F largest[rows];
    NATIVE_UNROLL
    for (auto& row : largest) row = Simd::set(-__builtin_inff());
    for (int block = begin_block; block < end_block; ++block) {
        CacheReader<Simd, type> cache{view.memory + size_t(blocks[block]) * view.stride, view.head_size};
        typename Simd::F scores[rows];
        score_block<Simd, type, rows>(cache, packed, scores);
        int position = block * kBlockSize;
        NATIVE_UNROLL
        for (int row = 0; row < rows; ++row) {
            auto seen = Simd::keep_lanes(scores[row], queries.first[row] - origin - position,
                                         queries.last[row] - origin - position + 1, -__builtin_inff());
            largest[row] = Simd::max(largest[row], seen);
            Simd::store(weights[row] + position, seen);
        }
    }
    NATIVE_UNROLL
    for (int row = 0; row < rows; ++row) {
        float top = Simd::largest(largest[row]);
        partials[row].largest = top;
        // A query that sees nothing of this span has no largest score; its weights are all zero.
        auto shift = Simd::set(top == -__builtin_inff() ? 0.0f : top);
        auto total = Simd::zero();
        for (int i = begin_block * kBlockSize; i < end_block * kBlockSize; i += 16) {
            auto weight = exponent<Simd>(Simd::sub(Simd::load(weights[row] + i), shift));
            Simd::store(weights[row] + i, weight);
            total = Simd::add(total, weight);
        }
        partials[row].weight = Simd::sum(total);
    }
    int number = 0;
    for (; number + 64 <= view.head_size; number += 64)
        weigh_values<Simd, type, rows, 4>(view, blocks, begin_block, end_block, weights, number, out);
    for (; number < view.head_size; number += 16)
        weigh_values<Simd, type, rows, 1>(view, blocks, begin_block, end_block, weights, number, out);
}

template <class Simd, CacheType type>
void attend_as(const CacheView& cache, const int32_t* block_table, int span, const Queries& queries,
               Partial* partials) {
    switch (queries.count) {
        case 1: return attend_rows<Simd, type, 1>(cache, block_table, span, queries, partials);
        case 2: return attend_rows<Simd, type, 2>(cache, block_table, span, queries, partials);
        case 3: return attend_rows<Simd, type, 3>(cache, block_table, span, queries, partials);
        case 4: return attend_rows<Simd, type, 4>(cache, block_table, span, queries, partials);
        case 5: return attend_rows<Simd, type, 5>(cache, block_table, span, queries, partials);
        case 6: return attend_rows<Simd, type, 6>(cache, block_table, span, queries, partials);
    }
}

template <class Simd>
void attend(const CacheView& cache, const int32_t* block_table, int span, const Queries& queries, Partial* partials) {
    switch (cache.type) {
        case CacheType::float32: return attend_as<Simd, CacheType::float32>(cache, block_table, span, queries, partials);
        case CacheType::float16: return attend_as<Simd, CacheType::float16>(cache, block_table, span, queries, partials);
        default: return attend_as<Simd, CacheType::int8>(cache, block_table, span, queries, partials);
    }
}

template <class Simd>
void merge(Partial& total, const Partial& next, int head_size) {
    if (next.largest == -__builtin_inff()) return;
    float largest = total.largest > next.largest ? total.largest : next.largest;
    float exponents[16] = {total.largest - largest, next.largest - largest};
    Simd::store(exponents, exponent<Simd>(Simd::load(exponents)));
    auto old_factor = Simd::set(exponents[0]), new_factor = Simd::set(exponents[1]);
    for (int i = 0; i < head_size; i += 16) {
        auto scaled = Simd::mul(Simd::load(total.values + i), old_factor);
        Simd::store(total.values + i, Simd::fma(Simd::load(next.values + i), new_factor, scaled));
    }
    total.weight = total.weight * exponents[0] + next.weight * exponents[1];
    total.largest = largest;
}

}  // namespace native
