#include "step.h"

#include <algorithm>
#include <cmath>

#include "blocks.h"
#include "sampler.h"

namespace native {

namespace {

// The most that Step::layer goes through, and what comes before and after the layers.
constexpr size_t kPhasesOfLayer = 12, kOtherPhases = 6;

size_t padded(size_t count) { return (count + kTileRows - 1) / kTileRows * kTileRows; }

// How many items a thread takes at a time: few takes when there is little work in each.
size_t chunk_of(size_t items, size_t tokens, int threads) {
    return tokens > kTokenBlock ? 1 : std::max<size_t>(1, items / size_t(8 * threads));
}

}  // namespace

Step::Step(Model& model, Workspace& workspace, const native_batch& batch)
    : model_(model),
      space_(workspace),
      batch_(batch),
      config_(model.config),
      kernels_(model.kernels),
      plan_(plan_attention(batch, model.config, model.team.size())),
      failed_(size_t(batch.row_count)),
      hidden_stride_(padded(size_t(config_.hidden))),
      heads_stride_(model.query_size() + 2 * model.key_size()),
      gated_stride_(padded(size_t(config_.intermediate))),
      logits_stride_(padded(size_t(config_.vocabulary))) {
    tokens_.resize(size_t(batch.token_count));
    for (int32_t index = 0; index < batch.row_count; ++index) {
        const native_row& row = batch.rows[index];
        for (int32_t i = 0; i < row.tokens; ++i) tokens_[size_t(row.first_token + i)] = {index, row.start + i};
        for (int32_t i = row.tokens - row.samples; i < row.tokens; ++i) {
            sampled_.push_back(row.first_token + i);
            sampled_row_.push_back(index);
        }
    }
}

bool Step::prepare() {
    // Whole blocks: what a product computes beyond the last token is thrown away, but it must exist.
    size_t blocks = (std::max(tokens_.size(), sampled_.size()) + kTokenBlock - 1) / kTokenBlock;
    size_t tokens = blocks * kTokenBlock, samples = sampled_.size();
    size_t widest = std::max({size_t(config_.hidden), model_.query_size(), size_t(config_.intermediate)});
    size_t partials = size_t(plan_.is_split ? plan_.partials : 2 * model_.team.size() * kAttentionRows);
    space_.partials.resize(partials);
    space_.scratch.resize(size_t(model_.team.size()));
    for (SampleScratch& scratch : space_.scratch) scratch.reserve(size_t(config_.vocabulary));
    bool is_enough = space_.hidden.resize(tokens * hidden_stride_) &&
                     space_.normed.resize(tokens * hidden_stride_) &&
                     space_.heads.resize(tokens * heads_stride_) &&
                     space_.attended.resize(tokens * model_.query_size()) &&
                     space_.gated.resize(tokens * gated_stride_) && space_.logits.resize(samples * logits_stride_) &&
                     space_.rotation.resize(tokens * size_t(config_.rotary)) &&
                     space_.parts.resize(partials * size_t(config_.head_size)) && space_.quantized.resize(blocks * groups_of(widest));
    if (!is_enough) return false;
    for (size_t i = 0; i < partials; ++i) space_.partials[i].values = space_.parts.data() + i * size_t(config_.head_size);
    return true;
}

void Step::run(const StepResult& result) {
    result_ = result;
    clock_ = std::chrono::steady_clock::now();
    model_.team.run(kPhasesOfLayer * model_.layers.size() + kOtherPhases, [this](Member& member) { compute(member); });
    report();
}

void Step::compute(Member& member) {
    embed(member);
    for (size_t index = 0; index < model_.layers.size(); ++index) {
        // One thread decides for all, at one moment.
        member.once([&] {
            if (is_abandoned()) abandoned_at_ = index;
        });
        if (abandoned_at_ <= index) return;
        layer(index, member);
    }
    check_tokens(member);
    if (sampled_.empty()) return;
    head(member);
    if (!result_.logits) sample(member);
}

void Step::embed(Member& member) {
    const Embedding& embedding = model_.embedding;
    size_t hidden = size_t(config_.hidden), half = size_t(config_.rotary / 2);
    member.share(tokens_.size(), 1, [&](size_t token, size_t) {
        const uint8_t* row = embedding.data + size_t(batch_.tokens[token]) * embedding.row_bytes;
        float* out = space_.hidden.data() + token * hidden_stride_;
        for (size_t group = 0; group < groups_of(hidden); ++group) {
            float numbers[kGroup];
            read_floats(embedding.stored, row, hidden, group, numbers);
            std::copy_n(numbers, std::min<size_t>(kGroup, hidden - group * kGroup), out + group * kGroup);
        }
        float* cosines = space_.rotation.data() + token * size_t(config_.rotary);
        for (size_t i = 0; i < half; ++i) {
            float angle = float(tokens_[token].position) * model_.frequencies[i];
            cosines[i] = std::cos(angle);
            cosines[half + i] = std::sin(angle);
        }
    });
    finish(kEmbed, member);
}

void Step::layer(size_t index, Member& member) {
    const Layer& layer = model_.layers[index];
    size_t query = model_.query_size(), key = model_.key_size(), hidden = size_t(config_.hidden);
    float* states = space_.hidden.data();
    float* heads = space_.heads.data();

    Activations input = prepare_input(member, states, hidden_stride_, hidden, &layer.input_norm);
    finish(kNormalize, member);
    multiply(member, {{&layer.query, heads}, {&layer.key, heads + query}, {&layer.value, heads + query + key}}, input,
             heads_stride_, Store::write);
    finish(kProjectHeads, member);
    member.share(tokens_.size(), 1, [&](size_t token, size_t) { place_heads(index, token); });
    finish(kPlaceHeads, member);
    attend(index, member);
    input = prepare_input(member, space_.attended.data(), query, query, nullptr);
    finish(kNormalize, member);
    multiply(member, {{&layer.output, states}}, input, hidden_stride_, Store::add);
    finish(kProjectOutput, member);

    input = prepare_input(member, states, hidden_stride_, hidden, &layer.post_norm);
    finish(kNormalize, member);
    gate(member, layer, input);
    finish(kGateUp, member);
    input = prepare_input(member, space_.gated.data(), gated_stride_, size_t(config_.intermediate), nullptr);
    finish(kNormalize, member);
    multiply(member, {{&layer.down, states}}, input, hidden_stride_, Store::add);
    finish(kDown, member);
}

// The input of a product: a token's numbers, after a norm if there is one, quantized to its place.
void Step::prepare_token(const float* source, size_t columns, const std::vector<float>* norm, size_t place) {
    if (norm) {
        float* normed = space_.normed.data() + place * hidden_stride_;
        kernels_.normalize(source, norm->data(), columns, config_.epsilon, normed);
        source = normed;
    }
    ActivationGroup* block = space_.quantized.data() + place / kTokenBlock * groups_of(columns);
    kernels_.quantize(source, columns, block, int(place % kTokenBlock));
}

Activations Step::prepare_input(Member& member, const float* values, size_t stride, size_t columns,
                                const std::vector<float>* norm) {
    // A block of tokens is one thread's: their scales share lines of memory.
    member.share(tokens_.size(), kTokenBlock, [&](size_t begin, size_t end) {
        for (size_t token = begin; token < end; ++token) {
            const float* source = values + token * stride;
            // A norm passes on what is not finite, and the states are checked in the end; codes do not.
            if (!norm && !kernels_.all_finite(source, columns)) failed_[size_t(tokens_[token].row)] = 1;
            prepare_token(source, columns, norm, token);
        }
    });
    return {norm ? space_.normed.data() : values, norm ? hidden_stride_ : stride, space_.quantized.data(), tokens_.size()};
}

void Step::multiply(Member& member, std::initializer_list<Product> products, const Activations& input, size_t stride,
                    Store store) {
    size_t total = 0;
    for (const Product& product : products) total += product.matrix->tiles();
    member.share(total, chunk_of(total, input.tokens, model_.team.size()), [&](size_t begin, size_t end) {
        size_t first = 0;
        for (const Product& product : products) {
            const Matrix& matrix = *product.matrix;
            size_t from = std::max(begin, first), to = std::min(end, first + matrix.tiles());
            if (from < to)
                kernels_.product(matrix.weights, from - first, to - first, input,
                                 {product.out, stride, matrix.bias_or_null(), store});
            first += matrix.tiles();
        }
    });
}

void Step::gate(Member& member, const Layer& layer, const Activations& input) {
    size_t tiles = layer.gate.tiles();
    float* out = space_.gated.data();
    member.share(tiles, chunk_of(tiles, input.tokens, model_.team.size()), [&](size_t begin, size_t end) {
        for (size_t tile = begin; tile < end; ++tile) {
            kernels_.product(layer.gate.weights, tile, tile + 1, input,
                             {out, gated_stride_, layer.gate.bias_or_null(), Store::silu});
            kernels_.product(layer.up.weights, tile, tile + 1, input,
                             {out, gated_stride_, layer.up.bias_or_null(), Store::multiply});
        }
    });
}

void Step::place_heads(size_t index, size_t token) {
    const Layer& layer = model_.layers[index];
    size_t size = size_t(config_.head_size), query = model_.query_size(), key = model_.key_size();
    int half = config_.rotary / 2;
    float* heads = space_.heads.data() + token * heads_stride_;
    const float* cosines = space_.rotation.data() + token * size_t(config_.rotary);
    auto turn = [&](float* head, const std::vector<float>& norm) {
        if (!norm.empty()) kernels_.normalize(head, norm.data(), size, config_.epsilon, head);
        kernels_.rotate(head, cosines, cosines + half, half);
    };
    float factor = 1.0f / std::sqrt(float(size));
    for (size_t head = 0; head < size_t(config_.heads); ++head) turn(heads + head * size, layer.query_norm);
    for (size_t i = 0; i < query; ++i) heads[i] *= factor;
    const native_row& row = batch_.rows[tokens_[token].row];
    int32_t position = tokens_[token].position;
    int32_t block = batch_.blocks[row.first_block + position / kBlockSize];
    bool is_finite = kernels_.all_finite(heads, query);
    for (size_t head = 0; head < size_t(config_.key_heads); ++head) {
        float* keys = heads + query + head * size;
        turn(keys, layer.key_norm);
        is_finite &= kernels_.write_cache(model_.cache_view(index, head), block, position % kBlockSize, keys, keys + key);
    }
    if (!is_finite) failed_[size_t(tokens_[token].row)] = 1;
}

void Step::check_tokens(Member& member) {
    member.share(tokens_.size(), 8, [&](size_t begin, size_t end) {
        for (size_t token = begin; token < end; ++token)
            if (!kernels_.all_finite(space_.hidden.data() + token * hidden_stride_, size_t(config_.hidden)))
                failed_[size_t(tokens_[token].row)] = 1;
    });
}

void Step::head(Member& member) {
    size_t hidden = size_t(config_.hidden);
    member.share(sampled_.size(), kTokenBlock, [&](size_t begin, size_t end) {
        for (size_t place = begin; place < end; ++place)
            prepare_token(space_.hidden.data() + size_t(sampled_[place]) * hidden_stride_, hidden, &model_.final_norm,
                          place);
    });
    finish(kNormalize, member);
    Activations input{space_.normed.data(), hidden_stride_, space_.quantized.data(), sampled_.size()};
    multiply(member, {{&model_.head, space_.logits.data()}}, input, logits_stride_, Store::write);
    finish(kHead, member);
}

void Step::sample(Member& member) {
    member.share(sampled_.size(), 1, [&](size_t place, size_t) {
        const native_row& row = batch_.rows[sampled_row_[place]];
        if (failed_[size_t(sampled_row_[place])]) return;
        size_t room = size_t(batch_.top_logprobs);
        SampleTarget target{&result_.samples[place], result_.top_tokens + place * room,
                            result_.top_logprobs + place * room, room};
        int32_t offset = sampled_[place] - (row.first_token + row.tokens - row.samples);
        sample_token(kernels_, space_.logits.data() + place * logits_stride_, size_t(config_.vocabulary), batch_, row,
                     offset, space_.scratch[size_t(member.number())], target);
    });
    finish(kSample, member);
}

void Step::report() {
    std::vector<float> zeros(size_t(config_.head_size));
    for (int32_t index = 0; index < batch_.row_count; ++index) {
        const native_row& row = batch_.rows[index];
        bool is_cancelled = abandoned_at_ < model_.layers.size() || *row.cancel;
        result_.statuses[index] = is_cancelled                ? NATIVE_CANCELLED
                                  : failed_[size_t(index)] ? NATIVE_STATES_NOT_FINITE
                                                           : NATIVE_DONE;
        if (!failed_[size_t(index)]) continue;
        // What is not finite would reach whoever gets these slots next, as a weight of 0 times it.
        for (int32_t i = 0; i < row.tokens; ++i) {
            int32_t position = row.start + i, block = batch_.blocks[row.first_block + position / kBlockSize];
            for (size_t layer = 0; layer < model_.layers.size(); ++layer)
                for (size_t head = 0; head < size_t(config_.key_heads); ++head)
                    kernels_.write_cache(model_.cache_view(layer, head), block, position % kBlockSize, zeros.data(),
                                         zeros.data());
        }
    }
    for (size_t place = 0; place < sampled_.size() && result_.logits; ++place)
        std::copy_n(space_.logits.data() + place * logits_stride_, size_t(config_.vocabulary),
                    result_.logits + place * size_t(config_.vocabulary));
}

bool Step::is_abandoned() const {
    for (int32_t index = 0; index < batch_.row_count; ++index) {
        const volatile uint8_t* cancel = batch_.rows[index].cancel;
        if (!*cancel) return false;
    }
    return true;
}

void Step::finish(Phase phase, const Member& member) {
    if (member.number() != 0) return;
    auto now = std::chrono::steady_clock::now();
    model_.phase_seconds[phase] += std::chrono::duration<double>(now - clock_).count();
    clock_ = now;
}

}  // namespace native
