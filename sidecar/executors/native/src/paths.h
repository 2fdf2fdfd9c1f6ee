// Which kernel paths this library holds, and which of them this processor can run.
#pragma once

#include "kernels.h"

namespace native {

struct Path {
    const char* name;
    bool (*is_usable)();
    const Kernels* kernels;
};

// The fastest first; ends with a null name.
extern const Path kPaths[];

// The path of that name, or the fastest usable one for "auto"; null when there is none or it
// cannot run here.
const Kernels* find_path(const char* name);

}  // namespace native
