// Choosing tokens from logits. The rule is that of sidecar/executors/torch/sampler.py.
#pragma once

#include <vector>

#include "abi.h"
#include "kernels.h"

namespace native {

// Where one sampled position's result goes; `top_...` have room for `room` entries.
struct SampleTarget {
    native_sample* sample;
    int32_t* top_tokens;
    float* top_logprobs;
    size_t room;
};

// Chooses the token for sample `offset` of a row. Changes the logits, which are padded with anything
// up to a multiple of 16. `scratch` keeps memory from call to call.
void sample_token(const Kernels& kernels, float* logits, size_t vocabulary, const native_batch& batch,
                  const native_row& row, int32_t offset, std::vector<float>& scratch, const SampleTarget& target);

}  // namespace native
