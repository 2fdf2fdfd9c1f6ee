#include "sampler.h"

namespace native {

void sample_token(const Kernels& kernels, float* logits, size_t vocabulary, const native_batch&, const native_row&,
                  int32_t, std::vector<float>&, const SampleTarget& target) {
    if (!kernels.all_finite(logits, vocabulary)) {
        target.sample->status = NATIVE_LOGITS_NOT_FINITE;
        return;
    }
    target.sample->status = NATIVE_DONE;
    target.sample->token = int32_t(kernels.argmax(logits, vocabulary));
}

}  // namespace native
