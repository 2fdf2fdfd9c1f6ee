// Rows that fail or are given up, and what they must not do to others.
#include <cmath>

#include "half.h"
#include "tiny_model.h"

namespace self_check {

namespace {

constexpr int32_t kBad = 7;  // a token whose embedding is not finite

Part part_of(std::vector<int32_t> tokens, std::vector<int32_t> blocks) {
    Part part;
    part.tokens = std::move(tokens);
    part.blocks = std::move(blocks);
    return part;
}

void check_not_finite(const char* path, TinyWeights weights, const native_config& config) {
    Tensor& embedding = weights.at(0, NATIVE_EMBEDDING);
    uint16_t infinite = native::float16_of_float(INFINITY);
    // Block formats begin with their scale; rows of the embedding lie one after the other.
    std::memcpy(embedding.bytes.data() + embedding.bytes.size() / size_t(embedding.rows) * kBad, &infinite, 2);
    for (int32_t type = 0; type < 3; ++type) {
        Handle model = weights.load_with_cache(path, config, 8, type);
        Part healthy = part_of({1, 2, 3, 4}, {2}), sick = part_of({1, kBad, 3}, {5});
        Outcome alone = Batch({healthy}).run(model.get(), config.vocabulary);
        Outcome both = Batch({sick, healthy}).run(model.get(), config.vocabulary);
        expect(both.statuses[0] == NATIVE_STATES_NOT_FINITE && both.statuses[1] == NATIVE_DONE,
               "%s: cache type %d: statuses %d and %d beside an infinite state", path, type, both.statuses[0], both.statuses[1]);
        std::vector<float> logits(both.logits.begin() + config.vocabulary, both.logits.end());
        expect(is_same(logits, alone.logits) && both.samples[1].token == alone.samples[0].token,
               "%s: cache type %d: a row that is not finite changed its neighbour", path, type);
        // The failed row's slots are taken over by another sequence of fewer tokens.
        Outcome reused = Batch({part_of({1, 2, 3, 4}, {5})}).run(model.get(), config.vocabulary);
        expect(is_same(reused.logits, alone.logits), "%s: cache type %d: a failed row's block stays spoilt", path, type);
        reused = Batch({part_of({1}, {5})}).run(model.get(), config.vocabulary);
        expect(reused.statuses[0] == NATIVE_DONE, "%s: cache type %d: one token in a failed row's block", path, type);
    }
}

void check_cancelled(const char* path, const TinyWeights& weights, const native_config& config) {
    Handle model = weights.load_with_cache(path, config, 8, 0);
    Part part = part_of({1, 2, 3}, {0}), other = part_of({4, 5}, {1});
    Outcome alone = Batch({other}).run(model.get(), config.vocabulary);
    Batch batch({part, other});
    uint8_t cancelled = 1;
    batch.rows[0].cancel = &cancelled;
    Outcome outcome = batch.run(model.get(), config.vocabulary);
    expect(outcome.statuses[0] == NATIVE_CANCELLED && outcome.statuses[1] == NATIVE_DONE, "%s: one row cancelled", path);
    std::vector<float> logits(outcome.logits.begin() + config.vocabulary, outcome.logits.end());
    expect(is_same(logits, alone.logits), "%s: a cancelled row changed its neighbour", path);
    batch.cancel = 1;
    outcome = batch.run(model.get(), config.vocabulary);
    expect(outcome.statuses[0] == NATIVE_CANCELLED && outcome.statuses[1] == NATIVE_CANCELLED, "%s: all cancelled", path);
}

void check_masked(const char* path, const TinyWeights& weights, const native_config& config) {
    Handle model = weights.load_with_cache(path, config, 8, 0);
    std::vector<uint32_t> none(size_t(config.vocabulary + 31) / 32, 0), one = none;
    one[2] = 1u << 5;
    const uint32_t* masks[] = {none.data(), one.data()};
    for (int32_t which : {0, 1}) {
        Batch batch({part_of({1, 2, 3}, {0})});
        batch.rows[0].first_mask = which, batch.rows[0].masks = 1;
        batch.batch.masks = masks, batch.batch.mask_count = 2;
        native_sample sample = batch.run(model.get(), config.vocabulary).samples[0];
        if (which == 0) expect(sample.status == NATIVE_NOTHING_ALLOWED, "%s: nothing allowed gives status %d", path, sample.status);
        else expect(sample.status == NATIVE_DONE && sample.token == 69, "%s: only 69 allowed, token %d", path, sample.token);
    }
    Batch batch({part_of({1, 2, 3}, {0})});
    native_bias bias{42, INFINITY};
    bias.value = 1e30f;
    batch.rows[0].biases = 1;
    batch.batch.biases = &bias, batch.batch.bias_count = 1;
    expect(batch.run(model.get(), config.vocabulary).samples[0].token == 42, "%s: a bias was not heard", path);
}

}  // namespace

void check_failures() {
    for (const native::Kernels* path : usable_paths())
        for (int32_t threads : {1, 2}) {
            native_config config = kTinyConfig;
            config.threads = threads;
            TinyWeights weights(TinyWeights::blocks, config, 200);
            check_not_finite(path->name, weights, config);
            check_cancelled(path->name, weights, config);
            check_masked(path->name, weights, config);
        }
}

}  // namespace self_check
