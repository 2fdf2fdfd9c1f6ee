"""The native executor: C++ for CPUs, called through ctypes. Knows no torch, no numpy, no sequences.

`src/` is the C++; start with `tiles.h`, `kernels.h` and `step.h`.
"""
