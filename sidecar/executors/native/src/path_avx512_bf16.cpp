#include "path.h"
#include "simd/avx512_bf16.h"

namespace native {

extern const Kernels avx512_bf16_kernels;
const Kernels avx512_bf16_kernels = kernels_of<Avx512Bf16>();

}  // namespace native
