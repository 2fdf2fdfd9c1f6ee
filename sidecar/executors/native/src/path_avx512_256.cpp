#include "path.h"
#include "simd/avx2.h"

namespace native {

extern const Kernels avx512_256_kernels;
const Kernels avx512_256_kernels = kernels_of<Avx2<EvexVnniDot>>();

}  // namespace native
