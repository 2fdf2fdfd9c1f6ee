#include "tiny_model.h"

#include <cmath>

namespace self_check {

using native::Format;
using native::Stored;

namespace {

constexpr int32_t kMatrices[] = {NATIVE_QUERY, NATIVE_KEY, NATIVE_VALUE, NATIVE_OUTPUT, NATIVE_GATE, NATIVE_UP, NATIVE_DOWN};
constexpr Stored kBlockTypes[] = {Stored::q4_0, Stored::q4_1, Stored::q5_0, Stored::q5_1, Stored::q8_0};
constexpr Stored kFloatTypes[] = {Stored::float32, Stored::float16, Stored::bfloat16};

Tensor vector_of(const std::vector<float>& numbers) {
    Tensor tensor{Stored::float32, 1, int64_t(numbers.size()), std::vector<uint8_t>(4 * numbers.size())};
    std::memcpy(tensor.bytes.data(), numbers.data(), tensor.bytes.size());
    return tensor;
}

}  // namespace

TinyWeights::TinyWeights(Kind kind, const native_config& config, uint64_t seed) : permuted_(kind == blocks) {
    Random random(seed);
    int64_t hidden = config.hidden, inner = config.intermediate, vocabulary = config.vocabulary;
    int64_t query = config.heads * config.head_size, key = config.key_heads * config.head_size;
    int next = 0;
    auto matrix = [&](int32_t layer, int32_t slot, int64_t rows, int64_t columns) {
        Stored stored = kind == floats ? kFloatTypes[next % 3] : kBlockTypes[next % 5];
        ++next;
        tensors_[{layer, slot}] = random_tensor(stored, rows, columns, random, 0.4f);
        formats_[{layer, slot}] = int32_t(kind == floats && next % 2 ? Format::q8_0 : Format(int(stored)));
    };
    auto vector = [&](int32_t layer, int32_t slot, int64_t size, float low, float high) {
        tensors_[{layer, slot}] = vector_of(random.reals(size_t(size), low, high));
    };
    matrix(0, NATIVE_EMBEDDING, vocabulary, hidden);
    matrix(0, NATIVE_HEAD, vocabulary, hidden);
    vector(0, NATIVE_FINAL_NORM, hidden, 0.5f, 1.5f);
    std::vector<float> frequencies;
    for (int i = 0; i < config.rotary / 2; ++i) frequencies.push_back(std::pow(10000.0f, -2.0f * float(i) / float(config.rotary)));
    tensors_[{0, NATIVE_FREQUENCIES}] = vector_of(frequencies);
    for (int32_t layer = 0; layer < config.layers; ++layer) {
        int64_t shapes[][2] = {{query, hidden}, {key, hidden}, {key, hidden}, {hidden, query}, {inner, hidden}, {inner, hidden}, {hidden, inner}};
        for (int i = 0; i < 7; ++i) matrix(layer, kMatrices[i], shapes[i][0], shapes[i][1]);
        vector(layer, NATIVE_INPUT_NORM, hidden, 0.5f, 1.5f);
        vector(layer, NATIVE_POST_NORM, hidden, 0.5f, 1.5f);
        if (kind != with_biases) continue;
        vector(layer, NATIVE_QUERY_NORM, config.head_size, 0.5f, 1.5f);
        vector(layer, NATIVE_KEY_NORM, config.head_size, 0.5f, 1.5f);
        for (int i = 0; i < 7; ++i) vector(layer, NATIVE_QUERY_BIAS + i, shapes[i][0], -0.2f, 0.2f);
    }
}

Handle TinyWeights::load(const char* path, const native_config& config, int32_t missing) const {
    Handle model(native_create(&config, path), native_destroy);
    expect(bool(model), "%s: no model: %s", path, native_error());
    for (const auto& [place, tensor] : tensors_) {
        auto [layer, slot] = place;
        if (slot == missing) continue;
        native_tensor view = tensor.view();
        if (permuted_ && (slot == NATIVE_QUERY || slot == NATIVE_KEY))
            view.permuted_heads = slot == NATIVE_QUERY ? config.heads : config.key_heads;
        bool is_matrix = formats_.count(place);
        int32_t failed = is_matrix ? native_set_matrix(model.get(), layer, slot, &view, formats_.at(place))
                                   : native_set_vector(model.get(), layer, slot, &view);
        expect(!failed, "%s: slot %d: %s", path, slot, native_error());
    }
    return model;
}

Handle TinyWeights::load_with_cache(const char* path, const native_config& config, int32_t blocks, int32_t cache_type) const {
    Handle model = load(path, config);
    expect(!native_allocate_cache(model.get(), blocks, cache_type), "%s: no cache: %s", path, native_error());
    return model;
}

Batch::Batch(const std::vector<Part>& parts) {
    for (const Part& part : parts) {
        native_row row{};
        row.sampling = part.sampling;
        row.cancel = &cancel;
        row.first_token = int32_t(tokens.size()), row.tokens = int32_t(part.tokens.size());
        row.start = part.start;
        row.first_block = int32_t(blocks.size()), row.blocks = int32_t(part.blocks.size());
        row.samples = part.samples;
        tokens.insert(tokens.end(), part.tokens.begin(), part.tokens.end());
        blocks.insert(blocks.end(), part.blocks.begin(), part.blocks.end());
        rows.push_back(row);
    }
    batch.rows = rows.data(), batch.tokens = tokens.data(), batch.blocks = blocks.data();
    batch.row_count = int32_t(rows.size()), batch.token_count = int32_t(tokens.size());
    batch.block_count = int32_t(blocks.size());
    batch.top_logprobs = 4;
}

Outcome Batch::run(native_model* model, int32_t vocabulary) {
    size_t samples = 0;
    for (const native_row& row : rows) samples += size_t(row.samples);
    Outcome outcome{std::vector<int32_t>(rows.size()), std::vector<native_sample>(samples),
                    std::vector<int32_t>(4 * samples), std::vector<float>(4 * samples),
                    std::vector<float>(samples * size_t(vocabulary))};
    // Room for one at least: without samples there must be a place for them all the same.
    outcome.samples.reserve(1), outcome.logits.reserve(1);
    outcome.top_tokens.reserve(1), outcome.top_logprobs.reserve(1);
    for (float* logits : {outcome.logits.data(), static_cast<float*>(nullptr)}) {
        int32_t failed = native_execute(model, &batch, outcome.statuses.data(), outcome.samples.data(),
                                        outcome.top_tokens.data(), outcome.top_logprobs.data(), logits);
        expect(!failed, "a step failed: %s", native_error());
    }
    return outcome;
}

}  // namespace self_check
