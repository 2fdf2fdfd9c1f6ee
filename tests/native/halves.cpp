// Every 16-bit float, and the numbers half-way between two of them.
#include "half.h"

#include <cmath>

#include "harness.h"

namespace self_check {

namespace {

// What a 16-bit float with so many bits of exponent and mantissa is worth.
double worth(uint16_t half, int exponent_bits, int mantissa_bits) {
    int bias = (1 << (exponent_bits - 1)) - 1, mantissa = half & ((1 << mantissa_bits) - 1);
    int exponent = half >> mantissa_bits & ((1 << exponent_bits) - 1);
    double sign = half & 0x8000 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1) return mantissa ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

void check_kind(const char* name, float (*widen)(uint16_t), uint16_t (*narrow)(float), int exponent_bits,
                int mantissa_bits) {
    for (int bits = 0; bits < 65536; ++bits) {
        uint16_t half = uint16_t(bits);
        double expected = worth(half, exponent_bits, mantissa_bits);
        float value = widen(half);
        if (std::isnan(expected)) {
            expect(std::isnan(value), "%s %04x is no number, but became %g", name, bits, double(value));
            expect(std::isnan(widen(narrow(value))), "%s: NaN %04x does not stay one", name, bits);
            continue;
        }
        expect(double(value) == expected && std::signbit(value) == std::signbit(expected),
               "%s %04x is %g, but became %g", name, bits, expected, double(value));
        expect(narrow(value) == half, "%s %04x came back as %04x", name, bits, narrow(value));
        double next = worth(uint16_t(bits + 1), exponent_bits, mantissa_bits);
        if (!std::isfinite(expected) || (bits & 0x7fff) == 0x7fff) continue;
        // The step above the largest number is as wide as the one below it.
        if (!std::isfinite(next)) next = 2 * expected - worth(uint16_t(bits - 1), exponent_bits, mantissa_bits);
        float middle = float((expected + next) / 2);
        uint16_t even = bits % 2 ? uint16_t(bits + 1) : half;
        float away = std::copysign(INFINITY, middle);
        expect(narrow(middle) == even, "%s: a tie above %04x went to %04x", name, bits, narrow(middle));
        expect(narrow(std::nextafter(middle, 0.0f)) == half, "%s: below a tie above %04x", name, bits);
        expect(narrow(std::nextafter(middle, away)) == uint16_t(bits + 1), "%s: beyond a tie above %04x", name, bits);
    }
}

}  // namespace

void check_halves() {
    check_kind("float16", native::float_of_float16, native::float16_of_float, 5, 10);
    check_kind("bfloat16", native::float_of_bfloat16, native::bfloat16_of_float, 8, 7);
}

}  // namespace self_check
