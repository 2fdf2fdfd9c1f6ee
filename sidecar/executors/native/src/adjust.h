// What a request asks of logits before a token is chosen: penalties, bias, forbidden tokens, a mask.
#pragma once

#include <cstddef>

#include "abi.h"
#include "kernels.h"

namespace native {

// Changes the logits for sample `offset` of a row; what may not be chosen gets minus infinity.
void adjust_logits(const Kernels& kernels, float* logits, size_t vocabulary, const native_batch& batch,
                   const native_row& row, int32_t offset);

}  // namespace native
