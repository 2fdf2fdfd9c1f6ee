#include "attention_plan.h"

#include <algorithm>

namespace native {

namespace {

constexpr int kTilesPerThread = 8;

// The most queries of a tile: whole tokens while a token's heads fit, else equal parts of one.
int tile_size(int group) {
    if (group <= kAttentionRows) return kAttentionRows / group * group;
    int parts = (group + kAttentionRows - 1) / kAttentionRows;
    return (group + parts - 1) / parts;
}

}  // namespace

AttentionPlan plan_attention(const native_batch& batch, const native_config& config, int threads) {
    AttentionPlan plan;
    int group = config.heads / config.key_heads, size = tile_size(group);
    for (int32_t index = 0; index < batch.row_count; ++index) {
        const native_row& row = batch.rows[index];
        int32_t queries = row.tokens * group;
        for (int32_t first = 0; first < queries; first += size) {
            int32_t count = std::min(size, queries - first);
            int32_t oldest = row.start + first / group, newest = row.start + (first + count - 1) / group;
            int32_t begin = config.window ? std::max(0, oldest - config.window + 1) / kSpan : 0;
            for (int32_t head = 0; head < config.key_heads; ++head) {
                int32_t part = int32_t(plan.tile_of_part.size());
                AttentionTile tile{index, head, first, count, begin, newest / kSpan + 1, part, plan.partials};
                plan.tile_of_part.insert(plan.tile_of_part.end(), size_t(tile.end_span - begin), int32_t(plan.tiles.size()));
                plan.tiles.push_back(tile);
                plan.partials += (tile.end_span - begin) * count;
            }
        }
    }
    plan.is_split = threads > 1 && plan.tiles.size() < size_t(kTilesPerThread * threads) &&
                    plan.tile_of_part.size() > plan.tiles.size();
    return plan;
}

}  // namespace native
