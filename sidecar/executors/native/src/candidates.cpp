#include "candidates.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <functional>
#include <numeric>

namespace native {

namespace {

// What float32 rounding of a scaled logit cannot make up for.
constexpr double kMargin = 1e-4;

size_t chunks_of(size_t count) { return (count + kChunk - 1) / kChunk; }

// The k-th largest maximum of k or more chunks cannot be above the k-th largest logit.
float floor_of_largest(size_t count, SampleScratch& scratch) {
    if (count > scratch.maxima.size()) return -FLT_MAX;
    scratch.ranked = scratch.maxima;
    auto place = scratch.ranked.begin() + ptrdiff_t(count - 1);
    std::nth_element(scratch.ranked.begin(), place, scratch.ranked.end(), std::greater<float>());
    return std::max(*place, -FLT_MAX);
}

void find_maxima(const Kernels& kernels, const float* logits, size_t vocabulary, SampleScratch& scratch) {
    scratch.maxima.resize(chunks_of(vocabulary));
    kernels.maxima(logits, vocabulary, scratch.maxima.data());
}

void list_from(float floor, const float* logits, size_t vocabulary, SampleScratch& scratch) {
    scratch.candidates.clear();
    for (size_t chunk = 0; chunk < scratch.maxima.size(); ++chunk) {
        if (!(scratch.maxima[chunk] >= floor)) continue;
        size_t end = std::min(vocabulary, (chunk + 1) * kChunk);
        // Whether a token is listed cannot be foretold, so nothing branches on it.
        uint32_t listed[kChunk];
        size_t count = 0;
        for (size_t token = chunk * kChunk; token < end; ++token) {
            listed[count] = uint32_t(token);
            count += logits[token] >= floor;
        }
        for (size_t i = 0; i < count; ++i)
            scratch.candidates.push_back({int32_t(listed[i]), logits[listed[i]], 0, 0});
    }
}

}  // namespace

void SampleScratch::reserve(size_t vocabulary) {
    for (auto* numbers : {&raw, &weights, &ranked}) numbers->reserve(vocabulary);
    maxima.reserve(chunks_of(vocabulary));
    candidates.reserve(vocabulary);
    sums.reserve(chunks_of(vocabulary));
    buckets.reserve(kBuckets);
}

double sum_weights(const Kernels& kernels, const float* values, size_t count, float floor, SampleScratch& scratch) {
    scratch.sums.resize(chunks_of(count));
    kernels.sums(values, floor, count, scratch.sums.data());
    return std::accumulate(scratch.sums.begin(), scratch.sums.end(), 0.0);
}

void list_largest(const Kernels& kernels, const float* logits, size_t vocabulary, size_t count,
                  SampleScratch& scratch) {
    find_maxima(kernels, logits, vocabulary, scratch);
    list_from(floor_of_largest(count, scratch), logits, vocabulary, scratch);
}

bool has_top_k(const native_sampling& sampling, size_t vocabulary) {
    return sampling.top_k > 0 && size_t(sampling.top_k) < vocabulary;
}

double list_candidates(const Kernels& kernels, const float* logits, size_t vocabulary, float largest,
                       const native_sampling& sampling, SampleScratch& scratch) {
    float temperature = float(sampling.temperature), floor = -FLT_MAX;
    double total = 0;
    find_maxima(kernels, logits, vocabulary, scratch);
    scratch.weights.resize(vocabulary);
    float* weights = scratch.weights.data();
    if (has_top_k(sampling, vocabulary)) {
        floor = floor_of_largest(size_t(sampling.top_k), scratch);
    } else if (sampling.typical_p >= 1) {
        // Tokens rarer than (1 - top_p) / vocabulary make up less than 1 - top_p together, so top_p
        // never needs one. With typical_p the likeliest may go, and any other stay.
        double least = sampling.min_p;
        if (sampling.top_p < 1) {
            kernels.exponential(logits, largest, temperature, weights, vocabulary);
            total = sum_weights(kernels, weights, vocabulary, 0, scratch);
            least = std::max(least, total * (1 - sampling.top_p) / double(vocabulary));
        }
        floor = std::max(float(largest + double(temperature) * (std::log(least) - kMargin)), -FLT_MAX);
    }
    list_from(floor, logits, vocabulary, scratch);
    size_t count = scratch.candidates.size();
    for (size_t i = 0; i < count; ++i) {
        float& logit = scratch.candidates[i].logit;
        weights[i] = logit = (logit - largest) / temperature;
    }
    kernels.exponential(weights, 0, 1, weights, count);
    for (size_t i = 0; i < count; ++i) scratch.candidates[i].weight = weights[i];
    return std::max(0.0, total - sum_weights(kernels, weights, count, 0, scratch));
}

}  // namespace native
