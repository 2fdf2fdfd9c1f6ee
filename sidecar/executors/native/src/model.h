// A loaded model: its weights in tiles, its cache, and the team that computes.
#pragma once

#include <string>
#include <vector>

#include "abi.h"
#include "kernels.h"
#include "memory.h"
#include "team.h"

namespace native {

struct Matrix {
    Weights weights{};
    size_t rows = 0;
    std::vector<float> bias;  // padded to whole tiles; empty for none

    size_t tiles() const { return tiles_of(rows); }
    bool is_set() const { return weights.tiles != nullptr; }
    const float* bias_or_null() const { return bias.empty() ? nullptr : bias.data(); }
};

struct Layer {
    Matrix query, key, value, output, gate, up, down;
    std::vector<float> input_norm, post_norm, query_norm, key_norm;
};

// Read where the model file has it: a step needs few of its rows.
struct Embedding {
    Stored stored{};
    const uint8_t* data = nullptr;
    size_t row_bytes = 0;
};

struct Cache {
    CacheType type{};
    size_t blocks = 0;
    size_t head_bytes = 0;   // keys and values of one key head in one block
    size_t layer_bytes = 0;  // of one block
    Pages memory;

    uint8_t* block(size_t layer, size_t id) const { return memory.get() + (layer * blocks + id) * layer_bytes; }
};

// Where the file has row `row` of a matrix, or number of a vector, of so many rotary heads whose pairs
// lie interleaved: with us all first halves of a head's pairs come first. 0 heads: nothing is moved.
size_t stored_row(size_t row, size_t rows, size_t permuted_heads);

size_t cache_head_bytes(CacheType type, size_t head_size);

class Model {
  public:
    Model(const native_config& config, const Kernels& kernels)
        : config(config), kernels(kernels), team(config.threads), layers(size_t(config.layers)) {}

    const native_config config;
    const Kernels& kernels;
    Team team;
    Embedding embedding;
    Matrix head;
    std::vector<Layer> layers;
    std::vector<float> final_norm, frequencies;
    Cache cache;
    std::vector<double> phase_seconds;

    size_t query_size() const { return size_t(config.heads) * config.head_size; }
    size_t key_size() const { return size_t(config.key_heads) * config.head_size; }

    // Null when the slot is of the other kind.
    Matrix* matrix(int32_t layer, int32_t slot);
    std::vector<float>* vector(int32_t layer, int32_t slot);
    // [rows, columns] that a slot must have; 1 row for vectors. False for an unknown slot.
    bool shape(int32_t slot, int64_t& rows, int64_t& columns) const;

    // Fills a matrix with tiles of `format`; false when there is no memory.
    bool pack(Matrix& matrix, const native_tensor& tensor, Format format);
    // The name of what is still missing, empty when the model can run.
    std::string missing() const;

    CacheView cache_view(size_t layer, size_t key_head) const;

  private:
    Arena arena_;
};

}  // namespace native
