#include "sampler.h"

#include <algorithm>
#include <cmath>

#include "adjust.h"
#include "filters.h"
#include "logprobs.h"
#include "nucleus.h"
#include "philox.h"

namespace native {

namespace {

// Inverts the cumulative distribution of weights that are at least `floor`: the first place at which
// their sum exceeds `number` times the total, or `otherwise` when there is no weight at all.
size_t invert(const Kernels& kernels, size_t count, float floor, double number, size_t otherwise,
              SampleScratch& scratch) {
    const float* weights = scratch.weights.data();
    double target = number * sum_weights(kernels, weights, count, floor, scratch), before = 0;
    size_t chunk = 0;
    while (chunk < scratch.sums.size() && before + scratch.sums[chunk] <= target) before += scratch.sums[chunk++];
    // Rounding can leave the chunk's numbers, one by one, short of its sum: then it is the last of them.
    size_t place = otherwise, end = std::min(count, (chunk + 1) * kChunk);
    for (size_t i = chunk * kChunk; i < end && before <= target; ++i) {
        if (!(weights[i] > 0 && weights[i] >= floor)) continue;
        before += weights[i];
        place = i;
    }
    return place;
}

size_t draw_from_list(const Kernels& kernels, const float* logits, size_t vocabulary, size_t best,
                      const native_sampling& sampling, double number, SampleScratch& scratch) {
    double rest = list_candidates(kernels, logits, vocabulary, logits[best], sampling, scratch);
    filter_candidates(sampling, rest, scratch);
    size_t count = scratch.candidates.size();
    for (size_t i = 0; i < count; ++i) scratch.weights[i] = scratch.candidates[i].weight;
    size_t place = invert(kernels, count, 0, number, count, scratch);
    return place < count ? size_t(scratch.candidates[place].token) : best;
}

size_t draw(const Kernels& kernels, const float* logits, size_t vocabulary, size_t best,
            const native_sampling& sampling, double number, SampleScratch& scratch) {
    if (has_top_k(sampling, vocabulary) || sampling.typical_p < 1 || sampling.min_p > 0)
        return draw_from_list(kernels, logits, vocabulary, best, sampling, number, scratch);
    scratch.weights.resize(vocabulary);
    kernels.exponential(logits, logits[best], float(sampling.temperature), scratch.weights.data(), vocabulary);
    float floor = sampling.top_p < 1 ? nucleus_floor(kernels, vocabulary, sampling.top_p, scratch) : 0;
    return invert(kernels, vocabulary, floor, number, best, scratch);
}

}  // namespace

void sample_token(const Kernels& kernels, float* logits, size_t vocabulary, const native_batch& batch,
                  const native_row& row, int32_t offset, SampleScratch& scratch, const SampleTarget& target) {
    const native_sampling& sampling = row.sampling;
    native_sample& sample = *target.sample;
    sample = {NATIVE_LOGITS_NOT_FINITE, -1, 0, 0};
    if (!kernels.all_finite(logits, vocabulary)) return;
    double log_sum = 0;
    if (sampling.logprobs)
        log_sum = report_top(kernels, logits, vocabulary, size_t(sampling.top_logprobs), scratch, target);
    adjust_logits(kernels, logits, vocabulary, batch, row, offset);
    size_t chosen = kernels.argmax(logits, vocabulary);
    if (logits[chosen] == -INFINITY) {
        sample = {NATIVE_NOTHING_ALLOWED, -1, 0, 0};
        return;
    }
    // A temperature too small for float32 is none.
    if (float(sampling.temperature) > 0) {
        int32_t position = row.start + row.tokens - row.samples + offset + 1;
        double number = uniform(sampling.seed, uint32_t(sampling.choice), uint32_t(position));
        chosen = draw(kernels, logits, vocabulary, chosen, sampling, number, scratch);
    }
    sample.status = NATIVE_DONE;
    sample.token = int32_t(chosen);
    if (sampling.logprobs) sample.logprob = float(scratch.raw[chosen] - log_sum);
}

}  // namespace native
