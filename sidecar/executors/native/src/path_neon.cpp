#include "path.h"
#include "simd/neon.h"

namespace native {

extern const Kernels neon_kernels;
const Kernels neon_kernels = kernels_of<Neon>();

}  // namespace native
