#include "model.h"

#include "pack.h"

namespace native {

size_t cache_head_bytes(CacheType type, size_t head_size) {
    size_t numbers = 2 * kBlockSize * head_size;
    switch (type) {
        case CacheType::float32: return numbers * 4;
        case CacheType::float16: case CacheType::bfloat16: return numbers * 2;
        default: return numbers + 2 * kBlockSize * sizeof(float);
    }
}

Matrix* Model::matrix(int32_t index, int32_t slot) {
    Layer& layer = layers[size_t(index)];
    switch (slot) {
        case NATIVE_HEAD: return &head;
        case NATIVE_QUERY: case NATIVE_QUERY_BIAS: return &layer.query;
        case NATIVE_KEY: case NATIVE_KEY_BIAS: return &layer.key;
        case NATIVE_VALUE: case NATIVE_VALUE_BIAS: return &layer.value;
        case NATIVE_OUTPUT: case NATIVE_OUTPUT_BIAS: return &layer.output;
        case NATIVE_GATE: case NATIVE_GATE_BIAS: return &layer.gate;
        case NATIVE_UP: case NATIVE_UP_BIAS: return &layer.up;
        case NATIVE_DOWN: case NATIVE_DOWN_BIAS: return &layer.down;
        default: return nullptr;
    }
}

std::vector<float>* Model::vector(int32_t index, int32_t slot) {
    Layer& layer = layers[size_t(index)];
    switch (slot) {
        case NATIVE_FINAL_NORM: return &final_norm;
        case NATIVE_FREQUENCIES: return &frequencies;
        case NATIVE_INPUT_NORM: return &layer.input_norm;
        case NATIVE_POST_NORM: return &layer.post_norm;
        case NATIVE_QUERY_NORM: return &layer.query_norm;
        case NATIVE_KEY_NORM: return &layer.key_norm;
        default: break;
    }
    if (slot < NATIVE_QUERY_BIAS || slot > NATIVE_DOWN_BIAS) return nullptr;
    return &matrix(index, slot)->bias;
}

bool Model::shape(int32_t slot, int64_t& rows, int64_t& columns) const {
    int64_t hidden = config.hidden, intermediate = config.intermediate;
    int64_t query = int64_t(query_size()), key = int64_t(key_size());
    auto is = [&](int64_t r, int64_t c) {
        rows = r, columns = c;
        return true;
    };
    switch (slot) {
        case NATIVE_EMBEDDING: case NATIVE_HEAD: return is(config.vocabulary, hidden);
        case NATIVE_QUERY: return is(query, hidden);
        case NATIVE_KEY: case NATIVE_VALUE: return is(key, hidden);
        case NATIVE_OUTPUT: return is(hidden, query);
        case NATIVE_GATE: case NATIVE_UP: return is(intermediate, hidden);
        case NATIVE_DOWN: return is(hidden, intermediate);
        case NATIVE_FINAL_NORM: case NATIVE_INPUT_NORM: case NATIVE_POST_NORM: return is(1, hidden);
        case NATIVE_OUTPUT_BIAS: case NATIVE_DOWN_BIAS: return is(1, hidden);
        case NATIVE_QUERY_NORM: case NATIVE_KEY_NORM: return is(1, config.head_size);
        case NATIVE_QUERY_BIAS: return is(1, query);
        case NATIVE_KEY_BIAS: case NATIVE_VALUE_BIAS: return is(1, key);
        case NATIVE_GATE_BIAS: case NATIVE_UP_BIAS: return is(1, intermediate);
        case NATIVE_FREQUENCIES: return is(1, config.rotary / 2);
        default: return false;
    }
}

size_t stored_row(size_t row, size_t rows, size_t permuted_heads) {
    if (!permuted_heads) return row;
    size_t size = rows / permuted_heads, inner = row % size;
    return row - inner + inner % (size / 2) * 2 + inner / (size / 2);
}

bool Model::pack(Matrix& matrix, const native_tensor& tensor, Format format) {
    size_t rows = size_t(tensor.rows), columns = size_t(tensor.columns);
    size_t size = tile_bytes(format, columns), tiles = tiles_of(rows);
    uint8_t* memory = arena_.take(size * tiles);
    if (!memory) return false;
    Stored stored = Stored(tensor.stored);
    const uint8_t* data = static_cast<const uint8_t*>(tensor.data);
    size_t stride = row_bytes(stored, columns);
    team.run(1, [&](Team::Member& member) {
        member.share(tiles, 4, [&](size_t begin, size_t end) {
            for (size_t tile = begin; tile < end; ++tile) {
                const uint8_t* source[kTileRows] = {};
                for (size_t i = 0; i < kTileRows; ++i) {
                    size_t row = tile * kTileRows + i;
                    if (row < rows) source[i] = data + stored_row(row, rows, size_t(tensor.permuted_heads)) * stride;
                }
                pack_tile(stored, source, columns, format, memory + tile * size);
            }
        });
    });
    matrix.weights = {format, memory, columns};
    matrix.rows = rows;
    return true;
}

std::string Model::missing() const {
    if (!embedding.data) return "the embedding";
    if (!head.is_set()) return "the head";
    if (final_norm.empty()) return "the final norm";
    if (frequencies.empty() && config.rotary) return "the rotary frequencies";
    for (const Layer& layer : layers) {
        for (const Matrix* matrix : {&layer.query, &layer.key, &layer.value, &layer.output, &layer.gate, &layer.up, &layer.down})
            if (!matrix->is_set()) return "a matrix of a layer";
        if (layer.input_norm.empty() || layer.post_norm.empty()) return "a norm of a layer";
        if (layer.query_norm.empty() != layer.key_norm.empty()) return "the norm of queries or of keys";
    }
    return "";
}

CacheView Model::cache_view(size_t layer, size_t key_head) const {
    return {cache.type, cache.block(layer, 0) + key_head * cache.head_bytes, cache.layer_bytes, config.head_size};
}

}  // namespace native
