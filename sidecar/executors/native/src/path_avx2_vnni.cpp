#include "path.h"
#include "simd/avx2.h"

namespace native {

extern const Kernels avx2_vnni_kernels;
const Kernels avx2_vnni_kernels = kernels_of<Avx2<VexVnniDot>>();

}  // namespace native
