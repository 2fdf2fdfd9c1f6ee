#include "nucleus.h"

#include <algorithm>

#include "half.h"

namespace native {

namespace {

constexpr float kFirst = 1.0f / 32, kNext = 1.0f / 8;

// What is kept cannot be foretold, so nothing branches on it. `out` may be `values`.
template <class Keep>
size_t compress(const float* values, size_t count, float* out, Keep keep) {
    size_t kept = 0;
    for (size_t i = 0; i < count; ++i) {
        float value = values[i];
        out[kept] = value;
        kept += keep(value);
    }
    return kept;
}

}  // namespace

float nucleus_floor(const Kernels& kernels, size_t vocabulary, double limit, SampleScratch& scratch) {
    double total = sum_weights(kernels, scratch.weights.data(), vocabulary, 0, scratch);
    double needed = limit * total, above = 0;
    // Tokens rarer than this make up less than 1 - limit together, so none of them is needed.
    double rarest = total * (1 - limit) / double(vocabulary);
    float high = 2, low = kFirst;  // the floor lies in [low, high); `above` is the weight from `high` on
    for (;; low *= kNext) {
        double weight = sum_weights(kernels, scratch.weights.data(), vocabulary, low, scratch);
        if (weight >= needed || low <= rarest) break;
        high = low;
        above = weight;
    }
    scratch.ranked.resize(vocabulary);
    float* left = scratch.ranked.data();
    size_t count = 0;
    for (size_t chunk = 0; chunk < scratch.sums.size(); ++chunk) {
        if (!(scratch.sums[chunk] > 0)) continue;
        size_t begin = chunk * kChunk;
        count += compress(scratch.weights.data() + begin, std::min(kChunk, vocabulary - begin), left + count,
                          [=](float weight) { return (weight >= low) & (weight < high); });
    }
    // Floats that are not negative have the order of their bits: halving these ends after 30 times.
    uint32_t low_bits = bits_of_float(low), high_bits = bits_of_float(high);
    while (count > 1 && high_bits - low_bits > 1) {
        uint32_t middle_bits = low_bits + (high_bits - low_bits) / 2;
        float middle = float_of_bits(middle_bits);
        double upper = sum_weights(kernels, left, count, middle, scratch);
        bool is_above = upper > 0 && above + upper >= needed;
        count = compress(left, count, left, [=](float weight) { return (weight >= middle) == is_above; });
        (is_above ? low_bits : high_bits) = middle_bits;
        if (!is_above) above += upper;
    }
    // Rounding can leave the sum short of what is needed: then it is all down to the last bound.
    return count ? left[0] : float_of_bits(high_bits);
}

}  // namespace native
