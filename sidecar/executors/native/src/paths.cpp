#include "paths.h"

#include <cstring>

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace native {

extern const Kernels portable_kernels;

#if defined(__x86_64__)

#if !defined(NATIVE_NO_AVX512_BF16)  // set when the compiler does not know these instructions
extern const Kernels avx512_bf16_kernels;
#endif
extern const Kernels avx512_kernels, avx512_256_kernels, avx2_kernels;
#if !defined(NATIVE_NO_AVX2_VNNI)  // the same
extern const Kernels avx2_vnni_kernels;
#endif

namespace {

bool has_avx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}
#if !defined(NATIVE_NO_AVX512_BF16)
bool has_avx512_bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#endif
#if !defined(NATIVE_NO_AVX2_VNNI)
bool has_avx2_vnni() { return has_avx2() && __builtin_cpu_supports("avxvnni"); }
#endif

}  // namespace

#elif defined(__aarch64__)

extern const Kernels neon_kernels;

namespace {

bool has_dot_products() {
#if defined(__linux__)
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#else
    return true;  // every Apple M has them
#endif
}

}  // namespace

#endif

namespace {

bool always() { return true; }

}  // namespace

const Path kPaths[] = {
#if defined(__x86_64__)
#if !defined(NATIVE_NO_AVX512_BF16)
    {"avx512-bf16", has_avx512_bf16, &avx512_bf16_kernels},
#endif
    {"avx512-vnni", has_avx512, &avx512_kernels},
#if !defined(NATIVE_NO_AVX2_VNNI)
    {"avx2-vnni", has_avx2_vnni, &avx2_vnni_kernels},
#endif
    {"avx512-vnni-256", has_avx512, &avx512_256_kernels},
    {"avx2", has_avx2, &avx2_kernels},
#elif defined(__aarch64__)
    {"neon-dotprod", has_dot_products, &neon_kernels},
#endif
    {"portable", always, &portable_kernels},
    {nullptr, nullptr, nullptr},
};

const Kernels* find_path(const char* name) {
    bool is_any = std::strcmp(name, "auto") == 0;
    for (const Path* path = kPaths; path->name; ++path)
        if ((is_any || std::strcmp(name, path->name) == 0) && path->is_usable()) return path->kernels;
    return nullptr;
}

}  // namespace native
