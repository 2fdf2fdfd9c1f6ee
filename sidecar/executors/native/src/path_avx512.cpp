#include "path.h"
#include "simd/avx512.h"

namespace native {

extern const Kernels avx512_kernels;
const Kernels avx512_kernels = kernels_of<Avx512>();

}  // namespace native
