// Whole models: a sequence's results are the same to the last bit however its steps are cut, what
// runs beside it, and on how many threads.
#include <cmath>
#include <cstdio>

#include "tiny_model.h"

namespace self_check {

namespace {

constexpr int32_t kBlocks = 64;
constexpr int32_t kPrompt = 43;

std::vector<int32_t> some_tokens(int32_t count, uint64_t seed) {
    Random random(seed);
    std::vector<int32_t> tokens;
    for (int32_t i = 0; i < count; ++i) tokens.push_back(random.whole(0, kTinyConfig.vocabulary - 1));
    return tokens;
}

std::vector<int32_t> block_table(int32_t first, int32_t step, int32_t count) {
    std::vector<int32_t> blocks;
    for (int32_t i = 0; i < count; ++i) blocks.push_back((first + i * step) % kBlocks);
    return blocks;
}

Part part_of(const std::vector<int32_t>& tokens, int32_t begin, int32_t end, const std::vector<int32_t>& blocks,
             int32_t samples) {
    Part part;
    part.tokens.assign(tokens.begin() + begin, tokens.begin() + end);
    part.start = begin;
    part.blocks = blocks;
    part.samples = samples;
    return part;
}

// The last of a batch's samples.
struct Result {
    native_sample sample;
    std::vector<int32_t> top_tokens;
    std::vector<float> top_logprobs, logits;

    Result(const Outcome& outcome, size_t place)
        : sample(outcome.samples[place]),
          top_tokens(outcome.top_tokens.begin() + int64_t(4 * place), outcome.top_tokens.begin() + int64_t(4 * place + 3)),
          top_logprobs(outcome.top_logprobs.begin() + int64_t(4 * place), outcome.top_logprobs.begin() + int64_t(4 * place + 3)),
          logits(outcome.logits.begin() + int64_t(place) * kTinyConfig.vocabulary,
                 outcome.logits.begin() + int64_t(place + 1) * kTinyConfig.vocabulary) {}

    bool is_same_as(const Result& other) const {
        return sample.status == other.sample.status && sample.token == other.sample.token &&
               std::memcmp(&sample.logprob, &other.sample.logprob, 4) == 0 && is_same(top_tokens, other.top_tokens) &&
               is_same(top_logprobs, other.top_logprobs) && is_same(logits, other.logits);
    }
};

void check_ways(const char* path, const TinyWeights& weights, native_config config, int32_t cache_type, const std::vector<float>& reference) {
    std::vector<int32_t> tokens = some_tokens(kPrompt, 11), blocks = block_table(5, 7, 3);
    config.threads = 1;
    Handle alone = weights.load_with_cache(path, config, kBlocks, cache_type);
    Batch whole({part_of(tokens, 0, kPrompt, blocks, 1)});
    Outcome outcome = whole.run(alone.get(), config.vocabulary);
    Result expected(outcome, 0);
    expect(outcome.statuses[0] == NATIVE_DONE && expected.sample.status == NATIVE_DONE, "%s: a step was not done", path);
    float largest = 0, difference = 0;
    for (size_t i = 0; i < reference.size(); ++i) {
        largest = std::fmax(largest, std::fabs(reference[i]));
        difference = std::fmax(difference, std::fabs(reference[i] - expected.logits[i]));
    }
    expect(difference <= 0.05f * largest, "%s: logits differ from another path's by %g of %g", path, double(difference), double(largest));

    for (int32_t threads = 1; threads <= 3; ++threads) {
        config.threads = threads;
        Handle model = weights.load_with_cache(path, config, kBlocks, cache_type);
        auto same = [&](const Outcome& outcome, size_t place, const char* way) {
            expect(Result(outcome, place).is_same_as(expected), "%s: cache type %d, window %d, %d threads, %s: not the same",
                   path, cache_type, config.window, threads, way);
        };
        same(Batch({part_of(tokens, 0, kPrompt, blocks, 1)}).run(model.get(), config.vocabulary), 0, "alone");
        same(Batch({part_of(tokens, 0, kPrompt, blocks, 5)}).run(model.get(), config.vocabulary), 4, "five samples");
        std::vector<int32_t> other_blocks = block_table(9, 11, 3);
        Outcome last;
        for (int32_t begin = 0, end; begin < kPrompt; begin = end) {
            end = begin + (begin < 7 ? 7 : begin < 39 ? 16 : 1);
            last = Batch({part_of(tokens, begin, end, other_blocks, 1)}).run(model.get(), config.vocabulary);
        }
        same(last, 0, "in chunks");
        std::vector<int32_t> first = some_tokens(30, 12), second = some_tokens(9, 13);
        Batch mixed({part_of(first, 0, 30, block_table(40, 1, 2), 2), part_of(tokens, 0, kPrompt, blocks, 1),
                     part_of(second, 0, 9, block_table(50, 1, 1), 0), part_of(tokens, kPrompt - 1, kPrompt, other_blocks, 1)});
        outcome = mixed.run(model.get(), config.vocabulary);
        same(outcome, 2, "in a batch");
        same(outcome, 3, "in a batch, its last token");
    }
}

// Blocks copied, or taken out and put into another model, hold the same sequence.
void check_blocks(const char* path, const TinyWeights& weights, const native_config& config, int32_t cache_type) {
    std::vector<int32_t> tokens = some_tokens(kPrompt, 14), blocks = {3, 8, 1};
    Handle model = weights.load_with_cache(path, config, kBlocks, cache_type);
    Handle other = weights.load_with_cache(path, config, kBlocks, cache_type);
    Batch(std::vector<Part>{part_of(tokens, 0, kPrompt - 1, blocks, 0)}).run(model.get(), config.vocabulary);
    Result expected(Batch({part_of(tokens, kPrompt - 1, kPrompt, blocks, 1)}).run(model.get(), config.vocabulary), 0);

    int32_t pairs[] = {3, 20, 8, 3, 1, 22, 20, 1};
    expect(!native_copy_blocks(model.get(), pairs, 4), "blocks were not copied: %s", native_error());
    Outcome copied = Batch({part_of(tokens, kPrompt - 1, kPrompt, {20, 3, 22}, 1)}).run(model.get(), config.vocabulary);
    expect(Result(copied, 0).is_same_as(expected), "%s: cache type %d: copied blocks differ", path, cache_type);

    std::vector<uint8_t> content(size_t(3 * native_block_bytes(&config, cache_type)));
    int32_t from[] = {20, 3, 22}, to[] = {60, 0, 33};
    expect(!native_export_blocks(model.get(), from, 3, content.data(), int64_t(content.size())) &&
               !native_import_blocks(other.get(), to, 3, content.data(), int64_t(content.size())),
           "blocks were not moved: %s", native_error());
    Outcome moved = Batch({part_of(tokens, kPrompt - 1, kPrompt, {60, 0, 33}, 1)}).run(other.get(), config.vocabulary);
    expect(Result(moved, 0).is_same_as(expected), "%s: cache type %d: moved blocks differ", path, cache_type);
}

// Long enough for several spans, with few queries: each span is a task of its own.
void check_long(const char* path, const TinyWeights& weights, native_config config, int32_t cache_type) {
    constexpr int32_t kLong = 530;
    std::vector<int32_t> tokens = some_tokens(kLong, 15), blocks = block_table(1, 5, 34);
    std::vector<float> expected;
    for (int32_t threads = 1; threads <= 3; ++threads) {
        config.threads = threads;
        Handle model = weights.load_with_cache(path, config, kBlocks, cache_type);
        Batch(std::vector<Part>{part_of(tokens, 0, kLong - 1, blocks, 0)}).run(model.get(), config.vocabulary);
        Outcome outcome = Batch({part_of(tokens, kLong - 1, kLong, blocks, 1)}).run(model.get(), config.vocabulary);
        if (threads == 1) expected = outcome.logits;
        expect(is_same(outcome.logits, expected), "%s: %d threads: a long context differs", path, threads);
        outcome = Batch({part_of(tokens, 0, kLong, blocks, 1)}).run(model.get(), config.vocabulary);
        expect(is_same(outcome.logits, expected), "%s: %d threads: a long context in one step differs", path, threads);
    }
}

}  // namespace

void check_models() {
    for (int kind = 0; kind < TinyWeights::kinds; ++kind)
        for (int32_t window : {0, 20}) {
            native_config config = kTinyConfig;
            config.window = window;
            if (kind == TinyWeights::with_biases) config.rotary = 8;
            TinyWeights weights(TinyWeights::Kind(kind), config, uint64_t(100 + kind));
            int32_t cache_type = window ? 3 - kind : kind;  // every one of them
            std::vector<float> reference;
            for (const native::Kernels* path : usable_paths()) {
                check_ways(path->name, weights, config, cache_type, reference);
                check_blocks(path->name, weights, config, cache_type);
                for (int32_t type : {1, 3})
                    if (!window) check_long(path->name, weights, config, type);
                if (!reference.empty()) continue;
                Handle model = weights.load_with_cache(path->name, config, kBlocks, cache_type);
                Batch batch({part_of(some_tokens(kPrompt, 11), 0, kPrompt, block_table(5, 7, 3), 1)});
                reference = batch.run(model.get(), config.vocabulary).logits;
            }
        }
}

}  // namespace self_check
