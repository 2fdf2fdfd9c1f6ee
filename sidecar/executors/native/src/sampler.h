// Choosing tokens from logits. The rule is that of sidecar/executors/torch/sampler.py.
#pragma once

#include "abi.h"
#include "candidates.h"
#include "kernels.h"

namespace native {

// Where one sampled position's result goes; `top_...` have room for `room` entries.
struct SampleTarget {
    native_sample* sample;
    int32_t* top_tokens;
    float* top_logprobs;
    size_t room;
};

// Chooses the token for sample `offset` of a row. Changes the logits. Allocates nothing when the
// scratch has reserved memory for so many.
void sample_token(const Kernels& kernels, float* logits, size_t vocabulary, const native_batch& batch,
                  const native_row& row, int32_t offset, SampleScratch& scratch, const SampleTarget& target);

}  // namespace native
