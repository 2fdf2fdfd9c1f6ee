#include "path.h"
#include "simd/portable.h"

namespace native {

extern const Kernels portable_kernels;
const Kernels portable_kernels = kernels_of<Portable>();

}  // namespace native
