#include "logprobs.h"

#include <algorithm>
#include <cmath>

namespace native {

double report_top(const Kernels& kernels, const float* logits, size_t vocabulary, size_t count,
                  SampleScratch& scratch, const SampleTarget& target) {
    scratch.raw.assign(logits, logits + vocabulary);
    scratch.weights.resize(vocabulary);
    float largest = logits[kernels.argmax(logits, vocabulary)];
    kernels.exponential(logits, largest, 1, scratch.weights.data(), vocabulary);
    double log_sum = largest + std::log(sum_weights(kernels, scratch.weights.data(), vocabulary, 0, scratch));
    count = std::min({count, vocabulary, target.room});
    target.sample->top_count = int32_t(count);
    if (count == 0) return log_sum;
    list_largest(kernels, logits, vocabulary, count, scratch);
    auto& top = scratch.candidates;
    std::partial_sort(top.begin(), top.begin() + ptrdiff_t(count), top.end(), [](const auto& one, const auto& other) {
        return one.logit > other.logit || (one.logit == other.logit && one.token < other.token);
    });
    for (size_t i = 0; i < count; ++i) {
        target.top_tokens[i] = top[i].token;
        target.top_logprobs[i] = float(top[i].logit - log_sum);
    }
    return log_sum;
}

}  // namespace native
