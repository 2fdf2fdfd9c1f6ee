// Every wrong batch is refused, and leaves the model as it was.
#include <cmath>

#include "tiny_model.h"

namespace self_check {

void check_batches(const TinyWeights& weights);

namespace {

constexpr int32_t kMany = INT32_MAX;

struct Wrong {
    const char* what;
    void (*change)(Batch&);
};

const Wrong kWrongs[] = {
    {"no rows", [](Batch& b) { b.batch.row_count = 0; }},
    {"no array of rows", [](Batch& b) { b.batch.rows = nullptr; }},
    {"no tokens", [](Batch& b) { b.batch.tokens = nullptr; }},
    {"no blocks", [](Batch& b) { b.batch.blocks = nullptr; }},
    {"no cancel byte", [](Batch& b) { b.rows[0].cancel = nullptr; }},
    {"a row without tokens", [](Batch& b) { b.rows[0].tokens = 0; }},
    {"a row of too many tokens", [](Batch& b) { b.rows[1].tokens = kMany; }},
    {"a gap between rows", [](Batch& b) { b.rows[1].first_token = 4; }},
    {"tokens of no row", [](Batch& b) { b.rows[1].tokens = 1; }},
    {"a token below 0", [](Batch& b) { b.tokens[1] = -1; }},
    {"a token beyond the vocabulary", [](Batch& b) { b.tokens[1] = kTinyConfig.vocabulary; }},
    {"a start below 0", [](Batch& b) { b.rows[0].start = -1; }},
    {"a position beyond the blocks", [](Batch& b) { b.rows[0].start = 14; }},
    {"a position beyond all numbers", [](Batch& b) { b.rows[0].start = kMany; }},
    {"a block table before the array", [](Batch& b) { b.rows[0].first_block = -1; }},
    {"a block table beyond the array", [](Batch& b) { b.rows[1].first_block = 2; }},
    {"a block too many", [](Batch& b) { b.rows[1].blocks = kMany; }},
    {"a block outside the cache", [](Batch& b) { b.blocks[0] = 8; }},
    {"a block below 0", [](Batch& b) { b.blocks[1] = -1; }},
    {"samples below 0", [](Batch& b) { b.rows[0].samples = -1; }},
    {"more samples than tokens", [](Batch& b) { b.rows[0].samples = 4; }},
    {"penalties outside", [](Batch& b) { b.rows[0].penalties = 1; }},
    {"penalties before", [](Batch& b) { b.rows[0].first_penalty = -1; }},
    {"biases outside", [](Batch& b) { b.rows[0].biases = 1; }},
    {"forbidden tokens outside", [](Batch& b) { b.rows[0].forbidden = kMany; }},
    {"masks outside", [](Batch& b) { b.rows[0].masks = 1; }},
    {"room for fewer than no logprobs", [](Batch& b) { b.batch.top_logprobs = -1; }},
    {"more logprobs than room", [](Batch& b) { b.rows[0].sampling.top_logprobs = 5; }},
    {"logprobs below 0", [](Batch& b) { b.rows[0].sampling.top_logprobs = -1; }},
    {"a temperature below 0", [](Batch& b) { b.rows[0].sampling.temperature = -1; }},
    {"a temperature that is no number", [](Batch& b) { b.rows[0].sampling.temperature = NAN; }},
    {"an infinite top_p", [](Batch& b) { b.rows[0].sampling.top_p = INFINITY; }},
    {"no min_p", [](Batch& b) { b.rows[0].sampling.min_p = NAN; }},
    {"a repetition penalty of 0", [](Batch& b) { b.rows[0].sampling.repetition_penalty = 0; }},
    {"an infinite frequency penalty", [](Batch& b) { b.rows[0].sampling.frequency_penalty = INFINITY; }},
};

std::vector<Part> parts() {
    Part first, second;
    first.tokens = {1, 2, 3}, first.blocks = {0};
    second.tokens = {4, 5}, second.blocks = {1};
    return {first, second};
}

int32_t execute(native_model* model, const native_batch* batch) {
    int32_t statuses[2], top_tokens[8];
    native_sample samples[2];
    float top_logprobs[8];
    return native_execute(model, batch, statuses, samples, top_tokens, top_logprobs, nullptr);
}

void refused(int32_t code, const char* what) {
    expect(code && native_error()[0], "a batch with %s was taken", what);
}

void check_entries(native_model* model) {
    native_penalty penalty{kTinyConfig.vocabulary, 1};
    native_bias bias{-1, 1};
    int32_t forbidden = kTinyConfig.vocabulary;
    Batch penalties(parts()), biases(parts()), tokens(parts());
    penalties.batch.penalties = &penalty, penalties.batch.penalty_count = 1;
    biases.batch.biases = &bias, biases.batch.bias_count = 1;
    tokens.batch.forbidden = &forbidden, tokens.batch.forbidden_count = 1;
    refused(execute(model, &penalties.batch), "a penalty of no token");
    refused(execute(model, &biases.batch), "a bias of no token");
    refused(execute(model, &tokens.batch), "a forbidden token that is none");
}

}  // namespace

void check_batches(const TinyWeights& weights) {
    Handle model = weights.load_with_cache("auto", kTinyConfig, 8, 0);
    Outcome before = Batch(parts()).run(model.get(), kTinyConfig.vocabulary);
    for (const Wrong& wrong : kWrongs) {
        Batch batch(parts());
        wrong.change(batch);
        refused(execute(model.get(), &batch.batch), wrong.what);
    }
    check_entries(model.get());
    refused(execute(model.get(), nullptr), "nothing at all");
    Batch batch(parts());
    refused(execute(nullptr, &batch.batch), "no model");
    refused(native_execute(model.get(), &batch.batch, nullptr, nullptr, nullptr, nullptr, nullptr), "no room for results");
    Outcome after = Batch(parts()).run(model.get(), kTinyConfig.vocabulary);
    expect(is_same(before.logits, after.logits), "refused batches changed the model");

    Handle bare = weights.load("auto", kTinyConfig);
    refused(execute(bare.get(), &batch.batch), "no cache");
    for (int32_t slot : {NATIVE_EMBEDDING, NATIVE_HEAD, NATIVE_FINAL_NORM, NATIVE_FREQUENCIES, NATIVE_QUERY, NATIVE_POST_NORM}) {
        Handle part = weights.load("auto", kTinyConfig, slot);
        expect(!native_allocate_cache(part.get(), 8, 0), "no cache: %s", native_error());
        refused(execute(part.get(), &batch.batch), "a tensor missing");
    }
}

}  // namespace self_check
