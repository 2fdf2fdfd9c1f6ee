#include "adjust.h"

#include <algorithm>
#include <cmath>

namespace native {

namespace {

void penalize(float& logit, const native_sampling& sampling, int32_t times) {
    double value = logit, factor = sampling.repetition_penalty;
    value = value > 0 ? value / factor : value * factor;
    double subtracted = sampling.frequency_penalty * times + (times ? sampling.presence_penalty : 0.0);
    logit = float(value - subtracted);
}

// Tokens of the row that are computed before the sampled position, but after the first one that is
// sampled, are drafts: none of the row's counts knows them yet.
void apply_penalties(float* logits, const native_batch& batch, const native_row& row, int32_t offset) {
    const native_penalty* penalties = batch.penalties + row.first_penalty;
    const native_penalty* penalties_end = penalties + row.penalties;
    const int32_t* drafts = batch.tokens + row.first_token + row.tokens - row.samples + 1;
    const int32_t* drafts_end = drafts + offset;
    for (const native_penalty* penalty = penalties; penalty < penalties_end; ++penalty) {
        auto drafted = std::count(drafts, drafts_end, penalty->token);
        penalize(logits[penalty->token], row.sampling, penalty->times + int32_t(drafted));
    }
    for (const int32_t* draft = drafts; draft < drafts_end; ++draft) {
        auto is_draft = [=](const native_penalty& penalty) { return penalty.token == *draft; };
        if (std::any_of(penalties, penalties_end, is_draft) || std::find(drafts, draft, *draft) != draft) continue;
        penalize(logits[*draft], row.sampling, int32_t(std::count(draft, drafts_end, *draft)));
    }
}

}  // namespace

void adjust_logits(const Kernels& kernels, float* logits, size_t vocabulary, const native_batch& batch,
                   const native_row& row, int32_t offset) {
    const native_sampling& sampling = row.sampling;
    if (sampling.repetition_penalty != 1 || sampling.frequency_penalty != 0 || sampling.presence_penalty != 0)
        apply_penalties(logits, batch, row, offset);
    for (int32_t i = row.first_bias; i < row.first_bias + row.biases; ++i)
        logits[batch.biases[i].token] += batch.biases[i].value;
    for (int32_t i = row.first_forbidden; i < row.first_forbidden + row.forbidden; ++i)
        logits[batch.forbidden[i]] = -INFINITY;
    const uint32_t* mask = row.masks ? batch.masks[row.first_mask + offset] : nullptr;
    if (mask) kernels.mask(logits, mask, vocabulary);
}

}  // namespace native
