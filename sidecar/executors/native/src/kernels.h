// What a kernel path (one instruction set) offers, as a table of functions.
//
// A path is the same templates compiled with other flags and another `simd/` type. Nothing here
// allocates, locks or knows a model; every function may run on many threads at once on parts of
// its work.
#pragma once

#include <cstddef>
#include <cstdint>

#include "activations.h"
#include "tiles.h"

namespace native {

// Rows of one matrix, in tiles.
struct Weights {
    Format format;
    const uint8_t* tiles;
    size_t columns;
};

// What is done with a product, its bias added: written, added to what is there (a residual), or
// SwiGLU in two halves (Shazeer 2020): silu of the gate written, then multiplied by the other.
enum class Store { write, add, silu, multiply };

// Where a product goes: values[token * stride + row]; `bias` [rows] or null.
struct Output {
    float* values;
    size_t stride;
    const float* bias;
    Store store;
};

enum class CacheType : int32_t { float32 = 0, float16 = 1, int8 = 2, bfloat16 = 3, count = 4 };

constexpr int kBlockSize = 16;
constexpr int kSpan = 256;  // positions; attention is merged in spans counted from 0
constexpr int kSpanBlocks = kSpan / kBlockSize;
constexpr int kMaxHeadSize = 256;
constexpr size_t kChunk = 64;  // logits whose largest, or whose weight, is kept
constexpr int kAttentionRows = 24;  // queries that share one reading of keys and values

// The cache of one layer and key head, block by block: `stride` bytes lie between two blocks.
// A block is keys [head size][16], then values [16][head size]; as int8, the float32 scales of
// its 16 keys and of its 16 values come first. As bfloat16, pairs take the place of numbers: keys
// [head size / 2][16][2 numbers], values [8][head size][2 positions].
struct CacheView {
    CacheType type;
    uint8_t* memory;
    size_t stride;
    int head_size;  // a multiple of 16
};

// Up to kAttentionRows queries of one key head. Query i sees positions from `first[i]` to `last[i]`.
struct Queries {
    const float* values[kAttentionRows];  // [head size], scaled
    int32_t first[kAttentionRows];
    int32_t last[kAttentionRows];
    int count;
};

// Attention over some positions: what is needed to merge it with that over others.
struct Partial {
    float largest;  // of the scores, divided by ln 2
    float weight;
    float* values;  // [head size], not yet divided by `weight`
};

struct Kernels {
    const char* name;

    // out = activations times the rows of tiles [begin, end), which are counted from `weights.tiles`
    // and whose first row goes to column 16 * begin.
    void (*product)(const Weights& weights, size_t begin, size_t end, const Activations& input, const Output& out);

    // Root mean square norm: out = x / sqrt(mean(x^2) + epsilon) * weight. Zhang and Sennrich (2019).
    void (*normalize)(const float* x, const float* weight, size_t size, float epsilon, float* out);

    // One token's row of `columns` floats, to its place in the activation groups of its block.
    void (*quantize)(const float* x, size_t columns, ActivationGroup* block, int token);

    // Turns pairs (i, i + half) by the angles whose cosines and sines are given. Su et al. (2021).
    void (*rotate)(float* head, const float* cosines, const float* sines, int half);

    // Writes a key and a value [head size] to slot `slot` of a block; false when one is not finite
    // in the cache's type.
    bool (*write_cache)(const CacheView& cache, int32_t block, int slot, const float* key, const float* value);

    // Attention of some queries over span `span` of a sequence with this block table.
    void (*attend)(const CacheView& cache, const int32_t* block_table, int span, const Queries& queries,
                   Partial* partials);

    // Merges `next` into `total`, spans in ascending order. Milakov and Gimelshein (2018).
    void (*merge)(Partial& total, const Partial& next, int head_size);

    // x /= divisor
    void (*divide)(float* x, float divisor, size_t size);

    // The place of the largest of `count` finite numbers, the first of equal ones.
    size_t (*argmax)(const float* x, size_t count);

    // The largest number of each kChunk, the last chunk perhaps not whole.
    void (*maxima)(const float* x, size_t count, float* out);

    // The sum of those of each kChunk that are at least `floor`, in a fixed order.
    void (*sums)(const float* x, float floor, size_t count, double* out);

    // Minus infinity where the bit is not set, the lowest bit of each word first.
    void (*mask)(float* x, const uint32_t* allowed, size_t count);

    // out[i] = exp((x[i] - offset) / divisor); `out` may be `x`
    void (*exponential)(const float* x, float offset, float divisor, float* out, size_t count);

    bool (*all_finite)(const float* x, size_t count);
};

}  // namespace native
