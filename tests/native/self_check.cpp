// Checks the native executor's C++ against plain references, on every kernel path this processor
// can run: prints a line for each group and a summary; exit status 1 when a check failed.
// With arguments only the groups that are named.
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "harness.h"

namespace self_check {

namespace {

constexpr int kShown = 10;
long checks = 0, failures = 0;

struct Group {
    const char* name;
    void (*run)();
};

constexpr Group kGroups[] = {
    {"halves", check_halves},       {"products", check_products}, {"stores", check_stores},
    {"elementwise", check_elementwise}, {"attention", check_attention}, {"team", check_team},
    {"models", check_models},       {"failures", check_failures}, {"errors", check_errors},
};

bool is_wanted(const char* name, int count, char** names) {
    for (int i = 0; i < count; ++i)
        if (std::strcmp(name, names[i]) == 0) return true;
    return count == 0;
}

int run(int count, char** names) {
    long total = 0, failed = 0;
    std::printf("paths:");
    for (const native::Kernels* path : usable_paths()) std::printf(" %s", path->name);
    std::printf("\n");
    for (const Group& group : kGroups) {
        if (!is_wanted(group.name, count, names)) continue;
        checks = failures = 0;
        group.run();
        std::printf("%-12s %8ld checks, %ld failed\n", group.name, checks, failures);
        std::fflush(stdout);
        total += checks;
        failed += failures;
    }
    std::printf("%ld checks, %ld failed\n", total, failed);
    return failed || !total ? 1 : 0;
}

}  // namespace

void expect(bool is_right, const char* format, ...) {
    ++checks;
    if (is_right || ++failures > kShown) return;
    va_list arguments;
    va_start(arguments, format);
    std::vprintf(format, arguments);
    va_end(arguments);
    std::printf("\n");
}

bool is_near(double value, double expected, double tolerance) { return std::fabs(value - expected) <= tolerance; }

std::vector<const native::Kernels*> usable_paths() {
    std::vector<const native::Kernels*> paths;
    for (const native::Path* path = native::kPaths; path->name; ++path)
        if (path->is_usable()) paths.push_back(path->kernels);
    return paths;
}

}  // namespace self_check

int main(int count, char** arguments) { return self_check::run(count - 1, arguments + 1); }
