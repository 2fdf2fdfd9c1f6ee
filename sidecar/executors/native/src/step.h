// One step: every layer for all rows of a batch, then the tokens that follow.
//
// All threads go through the same phases, and the work of each is shared out as threads ask for it.
// Who computes what never changes a result.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "activations.h"
#include "attention_plan.h"
#include "candidates.h"
#include "model.h"

namespace native {

enum Phase {
    kEmbed, kNormalize, kProjectHeads, kPlaceHeads, kAttend, kMerge, kProjectOutput, kGateUp, kDown, kHead, kSample,
    kPhases,
};

// 64-byte aligned memory that only grows.
template <class Number>
class Buffer {
  public:
    bool resize(size_t count) {
        if (count <= count_) return true;
        pages_ = allocate_pages(count * sizeof(Number));
        count_ = pages_ ? count : 0;
        return bool(pages_);
    }
    Number* data() const { return reinterpret_cast<Number*>(pages_.get()); }

  private:
    Pages pages_;
    size_t count_ = 0;
};

// What a step needs beside the model; kept from step to step.
struct Workspace {
    Buffer<float> hidden, normed, heads, attended, gated, logits, rotation, parts;
    Buffer<ActivationGroup> quantized;
    std::vector<Partial> partials;
    std::vector<SampleScratch> scratch;  // one for each thread
};

// Where a step's results go. `samples`, `top_tokens` and `top_logprobs` as native_execute has them,
// `statuses` one for each row; `logits` null unless they are wanted instead of tokens.
struct StepResult {
    int32_t* statuses;
    native_sample* samples;
    int32_t* top_tokens;
    float* top_logprobs;
    float* logits;
};

class Step {
  public:
    // The batch has been checked.
    Step(Model& model, Workspace& workspace, const native_batch& batch);

    // False when there is no memory for it.
    bool prepare();
    void run(const StepResult& result);

  private:
    using Member = Team::Member;
    struct Token {
        int32_t row, position;
    };
    struct Product {
        const Matrix* matrix;
        float* out;
    };

    void compute(Member& member);
    void embed(Member& member);
    void layer(size_t index, Member& member);
    void attend(size_t index, Member& member);
    void head(Member& member);
    void sample(Member& member);
    void finish(Phase phase, const Member& member);

    // Parts of a phase, by whichever thread has time.
    Activations prepare_input(Member& member, const float* values, size_t stride, size_t columns,
                              const std::vector<float>* norm);
    void multiply(Member& member, std::initializer_list<Product> products, const Activations& input, size_t stride,
                  Store store);
    void gate(Member& member, const Layer& layer, const Activations& input);
    void check_tokens(Member& member);

    // One item of a phase.
    void prepare_token(const float* source, size_t columns, const std::vector<float>* norm, size_t place);
    void place_heads(size_t index, size_t token);
    void write_attended(const AttentionTile& tile, const Partial* totals);

    Queries queries_of(const AttentionTile& tile) const;
    Partial* partials_of(const AttentionTile& tile, int span) {
        return space_.partials.data() + tile.first_partial + (span - tile.begin_span) * tile.count;
    }
    bool is_abandoned() const;
    void report();

    Model& model_;
    Workspace& space_;
    const native_batch& batch_;
    const native_config& config_;
    const Kernels& kernels_;
    AttentionPlan plan_;
    std::vector<Token> tokens_;
    std::vector<int32_t> sampled_;      // flat token index of every sampled position
    std::vector<int32_t> sampled_row_;  // its row
    std::vector<std::atomic<uint8_t>> failed_;  // by row: something was not finite
    size_t hidden_stride_, heads_stride_, gated_stride_, logits_stride_;
    std::atomic<size_t> abandoned_at_{SIZE_MAX};  // the layer before which nobody waited any more
    std::chrono::steady_clock::time_point clock_;
    StepResult result_{};
};

}  // namespace native
