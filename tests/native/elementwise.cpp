// Kernels that work on one token's numbers, on sizes that are no multiple of 16 too.
#include <cmath>

#include "harness.h"

namespace self_check {

using native::Kernels;

namespace {

constexpr int kSizes[] = {1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 257};

void check_normalize(const Kernels& path, int size, Random& random) {
    std::vector<float> x = random.reals(size_t(size), -4, 4), weight = random.reals(size_t(size), -2, 2), out = x;
    path.normalize(x.data(), weight.data(), size_t(size), 1e-5f, out.data());
    double squares = 0;
    for (float value : x) squares += double(value) * value;
    for (size_t i = 0; i < x.size(); ++i) {
        double expected = x[i] / std::sqrt(squares / size + 1e-5) * weight[i];
        expect(is_near(out[i], expected, 2e-6 * std::fabs(expected)), "%s: normalize %d at %d is %g, not %g", path.name,
               size, int(i), double(out[i]), expected);
    }
    path.normalize(x.data(), weight.data(), size_t(size), 1e-5f, x.data());
    expect(is_same(x, out), "%s: normalize %d in place differs", path.name, size);
}

void check_quantize(const Kernels& path, int size, Random& random) {
    std::vector<float> x = random.reals(size_t(size), -4, 4);
    for (size_t i = 0; i < x.size() && size > 64; ++i) x[i] = i < 32 ? 0.0f : x[i];
    std::vector<native::ActivationGroup> groups(native::groups_of(size_t(size)));
    for (int token : {0, 5, 7}) {
        path.quantize(x.data(), size_t(size), groups.data(), token);
        for (size_t g = 0; g < groups.size(); ++g) {
            const native::ActivationGroup& group = groups[g];
            float largest = 0;
            int sum = 0, first_half = 0;
            for (size_t i = 32 * g; i < 32 * g + 32 && i < x.size(); ++i) largest = std::fmax(largest, std::fabs(x[i]));
            for (size_t i = 0; i < 32; ++i) {
                float value = 32 * g + i < x.size() ? x[32 * g + i] : 0.0f;
                int code = largest > 0 ? int(std::nearbyint(value * (127.0f / largest))) : 0;
                sum += code;
                if (i < 16) first_half += code;
                expect(group.codes[token][i] == code, "%s: quantize %d: code %d of group %d is %d, not %d", path.name,
                       size, int(i), int(g), group.codes[token][i], code);
            }
            float scale = largest / 127.0f;
            expect(group.scale[token] == scale && group.sum[token] == sum && group.first_half_sum[token] == first_half &&
                       group.scaled_sum[token] == scale * float(sum),
                   "%s: quantize %d: the sums of group %d", path.name, size, int(g));
        }
    }
}

void check_rotate(const Kernels& path, int half, Random& random) {
    std::vector<float> before = random.reals(size_t(2 * half), -4, 4), head = before;
    std::vector<float> cosines = random.reals(size_t(half), -1, 1), sines = random.reals(size_t(half), -1, 1);
    path.rotate(head.data(), cosines.data(), sines.data(), half);
    for (int i = 0; i < half; ++i) {
        double a = before[size_t(i)], b = before[size_t(half + i)], c = cosines[size_t(i)], s = sines[size_t(i)];
        expect(is_near(head[size_t(i)], a * c - b * s, 2e-6) && is_near(head[size_t(half + i)], b * c + a * s, 2e-6),
               "%s: rotate %d at %d", path.name, half, i);
    }
}

void check_exponential(const Kernels& path, int size, Random& random) {
    std::vector<float> x = random.reals(size_t(size), -180, 60), out(x.size());
    x[0] = -INFINITY;
    path.exponential(x.data(), 1.5f, 2.0f, out.data(), x.size());
    for (size_t i = 0; i < x.size(); ++i) {
        double power = (double(x[i]) - 1.5) / 2, expected = power < -87 ? 0 : std::exp(power);
        bool is_edge = is_near(power, -87, 1e-3) && out[i] == 0;
        // The argument itself is rounded: half a unit in its last place.
        double tolerance = expected * (4e-7 + std::fabs(power) * 1.3e-7);
        expect(is_edge || is_near(out[i], expected, std::isfinite(power) ? tolerance : 0),
               "%s: exp(%.9g) is %.9g, not %.9g", path.name, power, double(out[i]), expected);
    }
    path.exponential(x.data(), 1.5f, 2.0f, x.data(), x.size());
    expect(is_same(x, out), "%s: exponential %d in place differs", path.name, size);
}

void check_searches(const Kernels& path, int size, Random& random) {
    for (int largest : {0, size / 2, size - 1}) {
        std::vector<float> x = random.reals(size_t(size), -5, -1);
        x[size_t(largest)] = -0.5f;
        expect(path.argmax(x.data(), x.size()) == size_t(largest), "%s: argmax of %d", path.name, size);
        x.back() = -0.5f;
        expect(path.argmax(x.data(), x.size()) == size_t(largest), "%s: the first of equal ones of %d", path.name, size);
        expect(path.all_finite(x.data(), x.size()), "%s: %d finite numbers", path.name, size);
        for (float bad : {INFINITY, -INFINITY, NAN}) {
            float kept = x[size_t(largest)];
            x[size_t(largest)] = bad;
            expect(!path.all_finite(x.data(), x.size()), "%s: %g at %d of %d", path.name, double(bad), largest, size);
            x[size_t(largest)] = kept;
        }
    }
    std::vector<float> x = random.reals(size_t(size), -5, 5), maxima((x.size() + native::kChunk - 1) / native::kChunk);
    path.maxima(x.data(), x.size(), maxima.data());
    for (size_t chunk = 0; chunk < maxima.size(); ++chunk) {
        float largest = -INFINITY;
        for (size_t i = chunk * native::kChunk; i < x.size() && i < (chunk + 1) * native::kChunk; ++i)
            largest = std::fmax(largest, x[i]);
        expect(maxima[chunk] == largest, "%s: maximum %d of %d", path.name, int(chunk), size);
    }
}

void check_divide(const Kernels& path, int size, Random& random) {
    std::vector<float> before = random.reals(size_t(size), -4, 4), x = before;
    path.divide(x.data(), 3.7f, x.size());
    for (size_t i = 0; i < x.size(); ++i) expect(x[i] == before[i] / 3.7f, "%s: divide %d at %d", path.name, size, int(i));
}

}  // namespace

void check_elementwise() {
    Random random(3);
    for (const Kernels* path : usable_paths())
        for (int size : kSizes) {
            check_normalize(*path, size, random);
            check_quantize(*path, size, random);
            check_rotate(*path, size, random);
            check_exponential(*path, size, random);
            check_searches(*path, size, random);
            check_divide(*path, size, random);
        }
}

}  // namespace self_check
