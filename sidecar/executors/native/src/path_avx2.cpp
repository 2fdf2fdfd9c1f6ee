#include "path.h"
#include "simd/avx2.h"

namespace native {

extern const Kernels avx2_kernels;
const Kernels avx2_kernels = kernels_of<Avx2<PlainDot>>();

}  // namespace native
