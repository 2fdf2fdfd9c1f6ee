#include "filters.h"

#include <algorithm>
#include <cmath>

#include "half.h"

namespace native {

namespace {

// Sets keys, then finds the key at which candidates in ascending order of keys reach `limit`
// together, and takes out all that come after it. Never takes out all of them.
template <class Key, class Weight>
void keep_until(double limit, SampleScratch& scratch, Key key, Weight weight) {
    constexpr int kBits = 11;
    uint32_t known = 0;  // the upper bits of the key looked for
    double before = 0;   // what has smaller upper bits
    for (Candidate& candidate : scratch.candidates) candidate.key = key(candidate);
    for (int shift : {21, 10, 0}) {
        int bits = shift ? kBits : 10;
        scratch.buckets.assign(kBuckets, 0);
        for (const Candidate& candidate : scratch.candidates)
            if (uint64_t(candidate.key) >> (shift + bits) == known)
                scratch.buckets[candidate.key >> shift & ((1u << bits) - 1)] += weight(candidate);
        uint32_t found = 0;
        double reached = before;
        for (uint32_t bucket = 0; bucket < 1u << bits; ++bucket) {
            if (!(scratch.buckets[bucket] > 0)) continue;
            found = bucket;
            before = reached;
            reached += scratch.buckets[bucket];
            if (reached >= limit) break;
        }
        known = known << bits | found;
    }
    auto& candidates = scratch.candidates;
    auto is_after = [=](const Candidate& candidate) { return candidate.key > known; };
    candidates.erase(std::remove_if(candidates.begin(), candidates.end(), is_after), candidates.end());
}

// Bits of floats that are not negative have the order of the floats.
uint32_t ascending(float value) { return bits_of_float(std::fabs(value)); }
uint32_t descending(float value) { return ~bits_of_float(value); }

float weight_of(const Candidate& candidate) { return candidate.weight; }

double total_weight(const SampleScratch& scratch) {
    double total = 0;
    for (const Candidate& candidate : scratch.candidates) total += candidate.weight;
    return total;
}

// Keeps the k largest.
void top_k(int32_t count, SampleScratch& scratch) {
    auto key = [](const Candidate& candidate) { return ascending(candidate.logit); };
    keep_until(count, scratch, key, [](const Candidate&) { return 1.0; });
}

// Keeps tokens of about the expected surprise until they reach the limit. Meister et al. (2022).
void typical_p(double limit, SampleScratch& scratch) {
    double total = total_weight(scratch), log_total = std::log(total), expected = 0;
    for (const Candidate& candidate : scratch.candidates)
        if (candidate.weight > 0) expected += candidate.weight / total * (log_total - candidate.logit);
    // Rounded to float32 before what is expected is taken off, as small differences are none.
    auto key = [=](const Candidate& candidate) {
        return ascending(float(log_total - candidate.logit) - float(expected));
    };
    keep_until(limit * total, scratch, key, weight_of);
}

// Keeps the likeliest tokens that reach the limit together. Holtzman et al. (2020).
void top_p(double limit, double rest, SampleScratch& scratch) {
    auto key = [](const Candidate& candidate) { return descending(candidate.weight); };
    keep_until(limit * (total_weight(scratch) + rest), scratch, key, weight_of);
}

// Keeps tokens at least `limit` times as likely as the likeliest.
void min_p(double limit, SampleScratch& scratch) {
    auto& candidates = scratch.candidates;
    float largest = -INFINITY;
    for (const Candidate& candidate : candidates) largest = std::max(largest, candidate.logit);
    float least = largest + float(std::log(limit));
    auto is_less = [=](const Candidate& candidate) { return candidate.logit < least; };
    candidates.erase(std::remove_if(candidates.begin(), candidates.end(), is_less), candidates.end());
}

}  // namespace

void filter_candidates(const native_sampling& sampling, double rest, SampleScratch& scratch) {
    if (sampling.top_k > 0 && size_t(sampling.top_k) < scratch.candidates.size()) top_k(sampling.top_k, scratch);
    if (sampling.typical_p < 1) typical_p(sampling.typical_p, scratch);
    if (sampling.top_p < 1) top_p(sampling.top_p, rest, scratch);
    if (sampling.min_p > 0) min_p(sampling.min_p, scratch);
}

}  // namespace native
