// The product of quantized weights with quantized activations, 16 rows by up to 8 tokens at a time.
//
// Each unpacked chunk of codes is used for all tokens of a block. A group's integer sum is exact;
// turned to float, it is scaled and added to the token's sum in the order of the groups, whatever
// the number of tokens: that is why a token's result never depends on its neighbours.
#pragma once

#include "elementwise.h"
#include "formats.h"
#include "kernels.h"
#include "unroll.h"

namespace native {

// Weights are fetched while the first block of tokens is multiplied with a tile: the next tile's, so
// that codes and scales arrive together, and at least so far ahead, since processors' own fetching
// stops at the end of every page. Into the second cache: the first is full of activations.
constexpr size_t kLeastAhead = 8192;
constexpr int kSecondCache = 2;  // as __builtin_prefetch counts

// One tile's sums for `tokens` tokens of a block, from token `first` on. What lies `ahead` bytes ahead
// is fetched, if that is not 0.
template <class Simd, Format format, int tokens>
inline void multiply_tile(const uint8_t* tile, size_t groups, size_t ahead, const ActivationGroup* input, int first,
                          typename Simd::F (&sums)[tokens]) {
    using Reader = FormatReader<Simd, format>;
    const uint8_t* codes = tile;
    const uint8_t* scales = tile + groups * code_bytes(format);
    NATIVE_UNROLL
    for (auto& sum : sums) sum = Simd::zero();
    constexpr size_t bytes = code_bytes(format) + scale_bytes(format, kNestedGroups) / kNestedGroups;
    const uint8_t* next = tile + ahead;
    for (size_t group = 0; group < groups; ++group, codes += code_bytes(format), next += bytes, ++input) {
        if (ahead)
            for (size_t line = 0; line < bytes; line += 64) __builtin_prefetch(next + line, 0, kSecondCache);
        Reader reader(scales, group);
        for_each_part<Reader::parts>([&](auto part) {
            typename Simd::I products[tokens];
            NATIVE_UNROLL
            for (int t = 0; t < tokens; ++t) products[t] = Simd::set_int(reader.template start<part>(*input, first + t));
            for_each_part<8 / Reader::parts>([&](auto step) {
                constexpr int chunk = part * (8 / Reader::parts) + step;
                auto four = Reader::template chunk<chunk>(codes);
                NATIVE_UNROLL
                for (int t = 0; t < tokens; ++t)
                    products[t] = Reader::dot(products[t], four, input->codes[first + t] + 4 * chunk);
            });
            NATIVE_UNROLL
            for (int t = 0; t < tokens; ++t) {
                auto scale = Simd::mul(reader.template scale<part>(), Simd::set(input->scale[first + t]));
                sums[t] = Simd::fma(Simd::to_float(products[t]), scale, sums[t]);
            }
        });
        if constexpr (Reader::has_minimum) {
            auto minimum = reader.minimum();
            NATIVE_UNROLL
            for (int t = 0; t < tokens; ++t)
                sums[t] = Simd::fma(minimum, Simd::set(input->scaled_sum[first + t]), sums[t]);
        }
    }
}

// The same for plain floats: every column of 16 weights with every token's activation.
template <class Simd, Format format, int tokens>
inline void multiply_float_tile(const uint8_t* tile, size_t columns, size_t ahead, const Activations& input,
                                size_t first, typename Simd::F (&sums)[tokens]) {
    const float* values = input.values + first * input.stride;
    NATIVE_UNROLL
    for (auto& sum : sums) sum = Simd::zero();
    constexpr size_t bytes = kTileRows * traits_of(format).bits / 8;
    for (size_t column = 0; column < columns; ++column) {
        if (ahead) __builtin_prefetch(tile + ahead + column * bytes, 0, kSecondCache);
        auto weights = load_floats<Simd, format>(tile, column);
        NATIVE_UNROLL
        for (int t = 0; t < tokens; ++t)
            sums[t] = Simd::fma(weights, Simd::set(values[t * input.stride + column]), sums[t]);
    }
}

// Hands `take` the sums of one tile for all tokens, `tokens` of them at a time from `first` on.
template <class Simd, Format format, int tokens, class Take>
inline void tile_part(const uint8_t* tile, const Weights& weights, const Activations& input, size_t first, int used,
                      Take take) {
    typename Simd::F sums[tokens];
    size_t size = tile_bytes(format, weights.columns);
    size_t ahead = first ? 0 : size < kLeastAhead ? kLeastAhead : size;
    if constexpr (is_quantized(format)) {
        size_t groups = groups_of(weights.columns);
        const ActivationGroup* block = input.groups + first / kTokenBlock * groups;
        multiply_tile<Simd, format, tokens>(tile, groups, ahead, block, int(first % kTokenBlock), sums);
    } else {
        multiply_float_tile<Simd, format, tokens>(tile, weights.columns, ahead, input, first, sums);
    }
    NATIVE_UNROLL
    for (int t = 0; t < tokens; ++t)
        if (t < used) take(first + t, sums[t]);
}

// A last block of 3, 5, 6 or 7 tokens is computed as 4 or 8: what lies beyond is not used.
template <class Simd, Format format, class Take>
inline void for_each_token(const uint8_t* tile, const Weights& weights, const Activations& input, Take take) {
    size_t first = 0;
    for (; first + kTokenBlock <= input.tokens; first += kTokenBlock)
        tile_part<Simd, format, kTokenBlock>(tile, weights, input, first, kTokenBlock, take);
    int rest = int(input.tokens - first);
    if (rest > 4) tile_part<Simd, format, 8>(tile, weights, input, first, rest, take);
    else if (rest > 2) tile_part<Simd, format, 4>(tile, weights, input, first, rest, take);
    else if (rest == 2) tile_part<Simd, format, 2>(tile, weights, input, first, rest, take);
    else if (rest == 1) tile_part<Simd, format, 1>(tile, weights, input, first, rest, take);
}

template <class Simd>
inline void put(float* place, typename Simd::F sum, Store store) {
    switch (store) {
        case Store::write: return Simd::store(place, sum);
        case Store::add: return Simd::store(place, Simd::add(Simd::load(place), sum));
        case Store::silu: return Simd::store(place, silu<Simd>(sum));
        case Store::multiply: return Simd::store(place, Simd::mul(Simd::load(place), sum));
    }
}

template <class Simd>
void product(const Weights& weights, size_t begin, size_t end, const Activations& input, const Output& out) {
    with_format(weights.format, [&](auto format) {
        size_t size = tile_bytes(format, weights.columns);
        for (size_t tile = begin; tile < end; ++tile) {
            size_t row = tile * kTileRows;
            for_each_token<Simd, format>(weights.tiles + tile * size, weights, input, [&](size_t token, auto sum) {
                if (out.bias) sum = Simd::add(sum, Simd::load(out.bias + row));
                put<Simd>(out.values + token * out.stride + row, sum, out.store);
            });
        }
    });
}

}  // namespace native
