// Attention straight from cache blocks, in spans of 256 positions counted from position 0.
//
// Keys lie by number, 16 positions side by side, so that one lane is one position; values lie by
// position. A span's scores, its largest score, its weights and its weighted values come first
// (a Partial); spans are then merged in ascending order. A span's result depends on one query
// and its keys alone, so it does not matter which thread computes it, or beside which queries:
// every score and every weighted value is one sum, its numbers in ascending order.
//
// Several queries by several registers of positions, or of numbers, are summed at a time: each key
// and value that is read serves all queries, and each factor all registers.
#pragma once

#include "attention_numbers.h"
#include "kernels.h"
#include "unroll.h"

namespace native {

// Queries that are computed together, of the tile's kAttentionRows.
template <class Simd>
constexpr int rows_together = Simd::sums < 6 ? Simd::sums : 6;

// Registers beside each other for so many queries.
template <class Simd>
constexpr int registers_for(int rows) {
    return Simd::sums >= 4 * rows ? 4 : Simd::sums >= 2 * rows ? 2 : 1;
}

// What `rows` queries see of a span, as positions of the span, and the blocks where it lies.
struct Extent {
    int begin_block, end_block;
    int begin_common, end_common;  // what all of them see
};

template <int rows>
inline Extent extent_of(const int32_t* first, const int32_t* last, int origin) {
    int begin = kSpan, end = 0, begin_common = 0, end_common = kSpan;
    for (int row = 0; row < rows; ++row) {
        int from = first[row] > origin ? first[row] - origin : 0;
        int to = last[row] - origin + 1 < kSpan ? last[row] - origin + 1 : kSpan;
        if (from < begin) begin = from;
        if (to > end) end = to;
        if (from > begin_common) begin_common = from;
        if (to < end_common) end_common = to;
    }
    return {begin / kBlockSize, (end + kBlockSize - 1) / kBlockSize, begin_common, end_common};
}

// Scores of some queries against the positions of some blocks.
template <class Simd, CacheType type, int rows, int count>
inline void score_blocks(const uint8_t* const* blocks, int head_size,
                         const typename Numbers<Simd, type>::Factor (*queries)[kMaxHeadSize],
                         typename Simd::F (&scores)[rows][count]) {
    using Cache = Numbers<Simd, type>;
    NATIVE_UNROLL
    for (auto& row : scores)
        NATIVE_UNROLL
        for (auto& score : row) score = Simd::zero();
    for (int step = 0; step < head_size / Cache::width; ++step) {
        NATIVE_UNROLL
        for (int i = 0; i < count; ++i) {
            auto keys = Cache::read(blocks[i], size_t(step) * kBlockSize);
            NATIVE_UNROLL
            for (int row = 0; row < rows; ++row) scores[row][i] = Cache::multiply(scores[row][i], keys, queries[row][step]);
        }
    }
    if constexpr (type == CacheType::int8)
        NATIVE_UNROLL
        for (int i = 0; i < count; ++i) {
            auto scales = Simd::load(reinterpret_cast<const float*>(blocks[i]));
            NATIVE_UNROLL
            for (auto& row : scores) row[i] = Simd::mul(row[i], scales);
        }
}

// Adds weight times value over a span's blocks, for `parts` registers of numbers from `begin` on.
template <class Simd, CacheType type, int rows, int parts>
inline void weigh_values(const uint8_t* const* blocks, int head_size, int begin_block, int end_block,
                         const typename Numbers<Simd, type>::Factor (*weights)[kSpan], int begin,
                         const Partial* partials) {
    using Cache = Numbers<Simd, type>;
    constexpr int steps = kBlockSize / Cache::width;
    typename Simd::F sums[rows][parts];
    NATIVE_UNROLL
    for (auto& row : sums)
        NATIVE_UNROLL
        for (auto& sum : row) sum = Simd::zero();
    for (int block = begin_block; block < end_block; ++block) {
        for (int step = 0; step < steps; ++step) {
            NATIVE_UNROLL
            for (int part = 0; part < parts; ++part) {
                auto values = Cache::values(blocks[block], head_size, step, begin + 16 * part);
                NATIVE_UNROLL
                for (int row = 0; row < rows; ++row)
                    sums[row][part] = Cache::multiply(sums[row][part], values, weights[row][block * steps + step]);
            }
        }
    }
    NATIVE_UNROLL
    for (int row = 0; row < rows; ++row)
        NATIVE_UNROLL
        for (int part = 0; part < parts; ++part) Simd::store(partials[row].values + begin + 16 * part, sums[row][part]);
}

template <class Simd, CacheType type, int rows>
void attend_rows(const uint8_t* const* blocks, int head_size, int origin, const Queries& queries, int begin,
                 Partial* partials) {
    using Cache = Numbers<Simd, type>;
    using F = typename Simd::F;
    constexpr int count = registers_for<Simd>(rows);
    const float minus_infinity = -__builtin_inff();
    const int32_t *first = queries.first + begin, *last = queries.last + begin;
    alignas(64) typename Cache::Factor factors[rows][kMaxHeadSize], weights[rows][kSpan];
    alignas(64) float scores[rows][kSpan];
    F largest[rows];
    NATIVE_UNROLL
    for (int row = 0; row < rows; ++row) {
        largest[row] = Simd::set(minus_infinity);
        // Scores become powers of 2 instead of e.
        for (int i = 0; i < head_size; i += 16)
            Cache::store(factors[row] + i / Cache::width,
                         Simd::mul(Simd::load(queries.values[begin + row] + i), Simd::set(1.44269504088896341f)));
    }
    Extent seen = extent_of<rows>(first, last, origin);
    for (int block = seen.begin_block; block < seen.end_block; block += count) {
        // Beyond the end the last block stands in: all sums are needed anyway to keep the arithmetic busy.
        const uint8_t* some[count];
        NATIVE_UNROLL
        for (int i = 0; i < count; ++i) some[i] = blocks[block + i < seen.end_block ? block + i : seen.end_block - 1];
        F sums[rows][count];
        score_blocks<Simd, type, rows, count>(some, head_size, factors, sums);
        NATIVE_UNROLL
        for (int i = 0; i < count; ++i) {
            int position = (block + i) * kBlockSize;
            if (block + i >= seen.end_block) break;
            bool is_whole = position >= seen.begin_common && position + kBlockSize <= seen.end_common;
            NATIVE_UNROLL
            for (int row = 0; row < rows; ++row) {
                F score = is_whole ? sums[row][i]
                                   : Simd::keep_lanes(sums[row][i], first[row] - origin - position,
                                                      last[row] - origin - position + 1, minus_infinity);
                largest[row] = Simd::max(largest[row], score);
                Simd::store(scores[row] + position, score);
            }
        }
    }
    for (int row = 0; row < rows; ++row) {
        float top = Simd::largest(largest[row]);
        // A query that sees nothing of this span has no largest score; its weights are all zero.
        auto shift = Simd::set(top == minus_infinity ? 0.0f : top);
        auto total = Simd::zero();
        for (int block = seen.begin_block; block < seen.end_block; ++block) {
            F weight = power_of_two<Simd, Cache::degree>(Simd::sub(Simd::load(scores[row] + block * kBlockSize), shift));
            total = Simd::add(total, weight);
            if constexpr (type == CacheType::int8)
                weight = Simd::mul(weight, Simd::load(reinterpret_cast<const float*>(blocks[block]) + kBlockSize));
            Cache::store(weights[row] + block * kBlockSize / Cache::width, weight);
        }
        partials[row].largest = top;
        partials[row].weight = Simd::sum(total);
    }
    int number = 0;
    for (; number + 16 * count <= head_size; number += 16 * count)
        weigh_values<Simd, type, rows, count>(blocks, head_size, seen.begin_block, seen.end_block, weights, number, partials);
    if constexpr (count > 1)
        for (; number < head_size; number += 16)
            weigh_values<Simd, type, rows, 1>(blocks, head_size, seen.begin_block, seen.end_block, weights, number, partials);
}

// As many queries together as there are, up to `rows`.
template <class Simd, CacheType type, int rows>
inline void attend_up_to(const uint8_t* const* blocks, int head_size, int origin, const Queries& queries, int begin,
                         Partial* partials) {
    if constexpr (rows > 1)
        if (queries.count - begin < rows)
            return attend_up_to<Simd, type, rows - 1>(blocks, head_size, origin, queries, begin, partials);
    attend_rows<Simd, type, rows>(blocks, head_size, origin, queries, begin, partials);
}

template <class Simd, CacheType type>
void attend_as(const CacheView& cache, const int32_t* block_table, int span, const Queries& queries, Partial* partials) {
    constexpr int together = rows_together<Simd>;
    const uint8_t* blocks[kSpanBlocks];
    int newest = 0, origin = span * kSpan;
    for (int i = 0; i < queries.count; ++i) newest = queries.last[i] > newest ? queries.last[i] : newest;
    // The table may end with the newest query's block.
    for (int i = 0; i < kSpanBlocks && origin + i * kBlockSize <= newest; ++i)
        blocks[i] = cache.memory + size_t(block_table[span * kSpanBlocks + i]) * cache.stride;
    for (int begin = 0; begin < queries.count; begin += together)
        attend_up_to<Simd, type, together>(blocks, cache.head_size, origin, queries, begin, partials + begin);
}

template <class Simd>
void attend(const CacheView& cache, const int32_t* block_table, int span, const Queries& queries, Partial* partials) {
    switch (cache.type) {
        case CacheType::float32: return attend_as<Simd, CacheType::float32>(cache, block_table, span, queries, partials);
        case CacheType::float16: return attend_as<Simd, CacheType::float16>(cache, block_table, span, queries, partials);
        case CacheType::bfloat16: return attend_as<Simd, CacheType::bfloat16>(cache, block_table, span, queries, partials);
        default: return attend_as<Simd, CacheType::int8>(cache, block_table, span, queries, partials);
    }
}

template <class Simd>
void merge(Partial& total, const Partial& next, int head_size) {
    if (next.largest == -__builtin_inff()) return;
    float largest = total.largest > next.largest ? total.largest : next.largest;
    alignas(64) float exponents[16] = {total.largest - largest, next.largest - largest};
    Simd::store(exponents, power_of_two<Simd, 5>(Simd::load(exponents)));
    auto old_factor = Simd::set(exponents[0]), new_factor = Simd::set(exponents[1]);
    for (int i = 0; i < head_size; i += 16) {
        auto scaled = Simd::mul(Simd::load(total.values + i), old_factor);
        Simd::store(total.values + i, Simd::fma(Simd::load(next.values + i), new_factor, scaled));
    }
    total.weight = total.weight * exponents[0] + next.weight * exponents[1];
    total.largest = largest;
}

}  // namespace native
