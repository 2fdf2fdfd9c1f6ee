// The part of a step that attends: the plan's tiles through the kernels, in whole or span by span.
#include <algorithm>

#include "step.h"

namespace native {

Queries Step::queries_of(const AttentionTile& tile) const {
    const native_row& row = batch_.rows[tile.row];
    int32_t group = config_.heads / config_.key_heads;
    Queries queries{};
    queries.count = tile.count;
    for (int i = 0; i < tile.count; ++i) {
        int32_t token = (tile.first + i) / group, head = tile.key_head * group + (tile.first + i) % group;
        queries.values[i] = space_.heads.data() + size_t(row.first_token + token) * heads_stride_ +
                            size_t(head) * size_t(config_.head_size);
        queries.last[i] = row.start + token;
        queries.first[i] = config_.window ? std::max(0, queries.last[i] - config_.window + 1) : 0;
    }
    return queries;
}

void Step::attend(size_t index, Member& member) {
    auto attend_span = [&](const AttentionTile& tile, int span, Partial* partials) {
        const int32_t* blocks = batch_.blocks + batch_.rows[tile.row].first_block;
        kernels_.attend(model_.cache_view(index, size_t(tile.key_head)), blocks, span, queries_of(tile), partials);
    };
    auto merge = [&](const AttentionTile& tile, Partial* total, const Partial* next) {
        for (int i = 0; i < tile.count; ++i) kernels_.merge(total[i], next[i], config_.head_size);
    };
    if (plan_.is_split) {
        member.share(plan_.tile_of_part.size(), 1, [&](size_t part, size_t) {
            const AttentionTile& tile = plan_.tiles[size_t(plan_.tile_of_part[part])];
            int span = tile.begin_span + int(part) - tile.first_part;
            attend_span(tile, span, partials_of(tile, span));
        });
        finish(kAttend, member);
        member.share(plan_.tiles.size(), 1, [&](size_t place, size_t) {
            const AttentionTile& tile = plan_.tiles[place];
            Partial* total = partials_of(tile, tile.begin_span);
            for (int span = tile.begin_span + 1; span < tile.end_span; ++span) merge(tile, total, partials_of(tile, span));
            write_attended(tile, total);
        });
        finish(kMerge, member);
        return;
    }
    Partial* total = space_.partials.data() + 2 * member.number() * kAttentionRows;
    Partial* next = total + kAttentionRows;
    member.share(plan_.tiles.size(), 1, [&](size_t place, size_t) {
        const AttentionTile& tile = plan_.tiles[place];
        attend_span(tile, tile.begin_span, total);
        for (int span = tile.begin_span + 1; span < tile.end_span; ++span) {
            attend_span(tile, span, next);
            merge(tile, total, next);
        }
        write_attended(tile, total);
    });
    finish(kAttend, member);
}

void Step::write_attended(const AttentionTile& tile, const Partial* totals) {
    const native_row& row = batch_.rows[tile.row];
    size_t size = size_t(config_.head_size);
    int32_t group = config_.heads / config_.key_heads;
    for (int i = 0; i < tile.count; ++i) {
        size_t token = size_t(row.first_token + (tile.first + i) / group);
        size_t head = size_t(tile.key_head * group + (tile.first + i) % group);
        float* out = space_.attended.data() + token * model_.query_size() + head * size;
        std::copy_n(totals[i].values, size, out);
        kernels_.divide(out, totals[i].weight, size);
    }
}

}  // namespace native
