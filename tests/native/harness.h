// What the groups of the self-check share: counted expectations and fixed random numbers.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "kernels.h"
#include "paths.h"

namespace self_check {

// Counts a check of the current group; the first failures of a group are printed.
void expect(bool is_right, const char* format, ...) __attribute__((format(printf, 2, 3)));

// True when `value` lies within `tolerance` of `expected`.
bool is_near(double value, double expected, double tolerance);

template <class Number>
bool is_same(const std::vector<Number>& a, const std::vector<Number>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Number)) == 0;
}

// Numbers that are the same in every run. Steele, Lea and Flood (2014): SplitMix.
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t bits() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }
    // From `low` to `high`, both included.
    int whole(int low, int high) { return low + int(bits() % uint64_t(high - low + 1)); }
    float real(float low, float high) { return low + (high - low) * float(bits() >> 40) * 0x1p-24f; }
    std::vector<float> reals(size_t count, float low, float high) {
        std::vector<float> numbers(count);
        for (float& number : numbers) number = real(low, high);
        return numbers;
    }

  private:
    uint64_t state_;
};

std::vector<const native::Kernels*> usable_paths();

void check_halves();
void check_products();
void check_stores();
void check_elementwise();
void check_attention();
void check_team();
void check_models();
void check_errors();
void check_failures();

}  // namespace self_check
