// Loops over registers. An array of registers stays in registers only when every loop over it is
// unrolled: whether a compiler does so of itself differs from release to release.
#pragma once

#if defined(__clang__)
#define NATIVE_UNROLL _Pragma("unroll")
#else
#define NATIVE_UNROLL _Pragma("GCC unroll 16")
#endif
