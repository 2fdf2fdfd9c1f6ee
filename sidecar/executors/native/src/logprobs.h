// Log probabilities that are reported: of the raw logits, before penalties, mask and temperature.
#pragma once

#include "candidates.h"
#include "sampler.h"

namespace native {

// Keeps the raw logits in the scratch and reports the `count` likeliest tokens, the smaller id first
// of equals. Returns the log of the sum of exponentials: a logit less this is its log probability.
double report_top(const Kernels& kernels, const float* logits, size_t vocabulary, size_t count,
                  SampleScratch& scratch, const SampleTarget& target);

}  // namespace native
