// How a step's attention is cut into tasks, the same for every layer.
#pragma once

#include <cstdint>
#include <vector>

#include "abi.h"
#include "kernels.h"

namespace native {

// Queries of one row and one key head that share every reading of the cache: `count` of the row's
// (token, head of the group) pairs from `first` on, heads fastest.
struct AttentionTile {
    int32_t row;
    int32_t key_head;
    int32_t first, count;
    int32_t begin_span, end_span;
    int32_t first_part;      // place of its first span among all parts
    int32_t first_partial;   // and of that span's first query among all queries of all parts
};

// With few tiles and long contexts each span is a task of its own, so that all threads have work;
// otherwise a tile is. The result is the same: spans are merged in the same order.
struct AttentionPlan {
    std::vector<AttentionTile> tiles;
    std::vector<int32_t> tile_of_part;
    int32_t partials = 0;
    bool is_split = false;
};

AttentionPlan plan_attention(const native_batch& batch, const native_config& config, int threads);

}  // namespace native
