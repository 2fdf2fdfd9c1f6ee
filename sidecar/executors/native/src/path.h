// The table of one kernel path: every template, compiled for one instruction set.
#pragma once

#include "attention.h"
#include "cache_write.h"
#include "elementwise.h"
#include "kernels.h"
#include "product.h"

namespace native {

template <class Simd>
constexpr Kernels kernels_of() {
    return {
        Simd::name,      product<Simd>,     normalize<Simd>,  quantize<Simd>,
        rotate<Simd>,    write_cache<Simd>, attend<Simd>,     merge<Simd>,
        divide<Simd>,    argmax<Simd>,      maxima<Simd>,      sums<Simd>,
        mask<Simd>,      exponential<Simd>,  all_finite<Simd>,
    };
}

}  // namespace native
