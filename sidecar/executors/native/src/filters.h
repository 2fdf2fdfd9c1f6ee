// Which tokens may still be drawn: top_k, typical_p, top_p, min_p, in this order, as in
// sidecar/executors/torch/filters.py.
//
// Each works on what the one before left, renormalised, and keeps every token that is as good as the
// last one it must keep. That last one is found by radix selection: nothing is ever sorted.
#pragma once

#include "candidates.h"

namespace native {

// Takes candidates out. `rest` is what `list_candidates` gave.
void filter_candidates(const native_sampling& sampling, double rest, SampleScratch& scratch);

}  // namespace native
