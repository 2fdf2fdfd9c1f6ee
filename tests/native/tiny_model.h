// A small random model behind the C interface, and steps to run on it.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "abi.h"
#include "stored.h"

namespace self_check {

constexpr native_config kTinyConfig = {101, 64, 96, 2, 6, 2, 16, 16, 0, 1, 1e-5f};

using Handle = std::unique_ptr<native_model, void (*)(native_model*)>;

// Weights in one of several mixtures of formats; every model made of them shares the embedding.
class TinyWeights {
  public:
    enum Kind { blocks, floats, with_biases, kinds };
    TinyWeights(Kind kind, const native_config& config, uint64_t seed);

    // All slots filled but `missing`.
    Handle load(const char* path, const native_config& config, int32_t missing = -1) const;
    // A loaded model with a cache.
    Handle load_with_cache(const char* path, const native_config& config, int32_t blocks, int32_t cache_type) const;

    const Tensor& at(int32_t layer, int32_t slot) const { return tensors_.at({layer, slot}); }
    Tensor& at(int32_t layer, int32_t slot) { return tensors_.at({layer, slot}); }

  private:
    std::map<std::pair<int32_t, int32_t>, Tensor> tensors_;
    std::map<std::pair<int32_t, int32_t>, int32_t> formats_;
    int32_t permuted_;
};

// One sequence's part of a step.
struct Part {
    std::vector<int32_t> tokens;
    int32_t start = 0;
    std::vector<int32_t> blocks;
    int32_t samples = 1;
    native_sampling sampling{7, 0.9, 0.95, 0.02, 1, 1.1, 0.1, 0.1, 0, 40, 1, 3};
};

struct Outcome {
    std::vector<int32_t> statuses;
    std::vector<native_sample> samples;
    std::vector<int32_t> top_tokens;
    std::vector<float> top_logprobs, logits;
};

// A batch of parts, its arrays kept beside it.
class Batch {
  public:
    explicit Batch(const std::vector<Part>& parts);
    Batch(const Batch&) = delete;

    // Runs it twice: once for tokens, once for logits. Expects success.
    Outcome run(native_model* model, int32_t vocabulary);

    native_batch batch{};
    std::vector<native_row> rows;
    std::vector<int32_t> tokens, blocks;
    uint8_t cancel = 0;
};

}  // namespace self_check
