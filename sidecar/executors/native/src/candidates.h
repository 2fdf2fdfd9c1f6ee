// Listing the tokens that can still be chosen, so that filters look at some hundred, not at all.
//
// A list holds every token that can pass the filters, and more; the filters then decide exactly as
// they would on all tokens. The idea is that of sidecar/executors/torch/shortlist.py, but what is
// too small is skipped by the maxima of chunks of logits, without any exponential.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "abi.h"
#include "kernels.h"

namespace native {

constexpr size_t kBuckets = 2048;

struct Candidate {
    int32_t token;
    float logit;   // (logit - largest logit) / temperature
    float weight;  // exp(logit)
    uint32_t key;  // a filter's order: the least first
};

// A thread's memory for sampling, kept from token to token.
struct SampleScratch {
    std::vector<float> raw, weights, maxima, ranked;
    std::vector<Candidate> candidates;  // in the order of token ids
    std::vector<double> sums, buckets;

    // Room for everything that sampling from so many logits needs. Pages are touched only when used.
    void reserve(size_t vocabulary);
};

// The sum of those values that are at least `floor`; the parts of chunks are in scratch.sums.
double sum_weights(const Kernels& kernels, const float* values, size_t count, float floor, SampleScratch& scratch);

// Lists tokens (candidates' `token` and raw `logit`) that hold the `count` largest logits, and all
// that equal the least of these.
void list_largest(const Kernels& kernels, const float* logits, size_t vocabulary, size_t count,
                  SampleScratch& scratch);

bool has_top_k(const native_sampling& sampling, size_t vocabulary);

// Lists what can pass the filters; `largest` is the largest logit. Returns the weight of all tokens
// that are not listed and yet count for top_p.
double list_candidates(const Kernels& kernels, const float* logits, size_t vocabulary, float largest,
                       const native_sampling& sampling, SampleScratch& scratch);

}  // namespace native
