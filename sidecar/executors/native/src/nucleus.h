// top_p on its own, over the whole vocabulary: the nucleus may hold thousands of tokens, and then
// listing them would be most of the work.
#pragma once

#include "candidates.h"

namespace native {

// The least weight of the likeliest tokens that reach `limit` of scratch.weights together, so that
// no order of equals matters. Holtzman et al. (2020). Weights are at most 1, and one is 1.
float nucleus_floor(const Kernels& kernels, size_t vocabulary, double limit, SampleScratch& scratch);

}  // namespace native
