// Packing and products through the C interface, and what a product does with its sums.
#include <cmath>
#include <string>

#include "half.h"
#include "stored.h"

namespace self_check {

using native::Format;
using native::Kernels;
using native::Stored;
using native::Store;

namespace {

constexpr int kTokens = 17;

// Activations as a quantized product sees them: int8 codes in groups of 32, each with a scale.
std::vector<double> quantized(const std::vector<float>& values, size_t columns) {
    std::vector<double> result(values.size());
    for (size_t begin = 0; begin < values.size(); begin += columns)
        for (size_t group = 0; group < columns; group += 32) {
            float largest = 0;
            size_t end = group + 32 < columns ? group + 32 : columns;
            for (size_t i = group; i < end; ++i) largest = std::fmax(largest, std::fabs(values[begin + i]));
            for (size_t i = group; i < end; ++i) {
                float code = largest > 0 ? std::nearbyint(values[begin + i] * (127.0f / largest)) : 0.0f;
                result[begin + i] = double(largest / 127.0f) * code;
            }
        }
    return result;
}

std::vector<float> product(const Kernels& path, const Tensor& tensor, Format format, const float* input, int tokens) {
    std::vector<float> out(size_t(tokens) * size_t(tensor.rows), NAN);
    native_tensor view = tensor.view();
    int32_t failed = native_test_product(path.name, &view, int32_t(format), input, tokens, out.data());
    expect(!failed, "%s: a product failed: %s", path.name, native_error());
    return out;
}

void check_product(const Kernels& path, Stored stored, Format format, int64_t rows, int64_t columns, Random& random) {
    Tensor tensor = random_tensor(stored, rows, columns, random);
    std::vector<Weight> weights = weights_in(tensor, format);
    std::vector<float> input = random.reals(size_t(kTokens * columns), -2, 2);
    std::string what = std::string(path.name) + ": stored " + std::to_string(int(stored)) + " as " +
                       std::to_string(int(format)) + ", " + std::to_string(rows) + " x " + std::to_string(columns);
    std::vector<double> seen = native::is_quantized(format) ? quantized(input, size_t(columns))
                                                            : std::vector<double>(input.begin(), input.end());
    std::vector<float> alone;
    for (int token = 0; token < kTokens; ++token) {
        std::vector<float> one = product(path, tensor, format, input.data() + token * columns, 1);
        for (int64_t row = 0; row < rows; ++row) {
            double sum = 0, size = 0;
            for (int64_t column = 0; column < columns; ++column) {
                double activation = seen[size_t(token * columns + column)];
                const Weight& weight = weights[size_t(row * columns + column)];
                sum += weight.value * activation;
                size += weight.size * std::fabs(activation);
            }
            expect(is_near(one[size_t(row)], sum, 4e-6 * size + 1e-30), "%s: token %d, row %d is %.8g, not %.8g",
                   what.c_str(), token, int(row), double(one[size_t(row)]), sum);
        }
        alone.insert(alone.end(), one.begin(), one.end());
    }
    for (int tokens = 2; tokens <= kTokens; ++tokens)
        for (int first : {0, kTokens - tokens}) {
            std::vector<float> together = product(path, tensor, format, input.data() + first * columns, tokens);
            auto begin = alone.begin() + first * rows;
            expect(is_same(together, std::vector<float>(begin, begin + tokens * rows)),
                   "%s: %d tokens from %d on differ from one by one", what.c_str(), tokens, first);
        }
}

struct Case {
    Stored stored;
    Format format;
};

std::vector<Case> cases() {
    std::vector<Case> all;
    for (int type = 0; type < int(Stored::count); ++type) all.push_back({Stored(type), Format(type)});
    for (Format format : {Format::float16, Format::bfloat16, Format::q8_0, Format::q4_1}) {
        all.push_back({Stored::float32, format});
        if (native::is_quantized(format)) all.push_back({Stored::float16, format});
    }
    for (Stored stored : {Stored::bfloat16, Stored::q4_0, Stored::q5_1, Stored::q8_0, Stored::q5_k, Stored::q6_k})
        all.push_back({stored, Format::float32});
    return all;
}

}  // namespace

void check_products() {
    Random random(1);
    for (const Kernels* path : usable_paths())
        for (const Case& one : cases()) {
            int64_t block = block_of(one.stored);
            check_product(*path, one.stored, one.format, 17, block == 1 ? 96 : block * 3, random);
            check_product(*path, one.stored, one.format, 5, block == 1 ? 41 : block, random);
            if (block < 256) check_product(*path, one.stored, one.format, 1, 288, random);
        }
}

// Biases, sums in place and SwiGLU, on float32 weights that are the identity.
void check_stores() {
    Random random(2);
    constexpr size_t kSize = 32, kCount = 11;
    std::vector<uint8_t> memory(2 * native::tile_bytes(Format::float32, kSize) + 64);
    uint8_t* tiles = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64);
    for (size_t row = 0; row < kSize; ++row) {
        float one = 1;
        std::memcpy(tiles + row / 16 * native::tile_bytes(Format::float32, kSize) + (row * 16 + row % 16) * 4, &one, 4);
    }
    for (const Kernels* path : usable_paths()) {
        std::vector<float> input = random.reals(16 * kSize, -9, 9), bias = random.reals(kSize, -1, 1);
        for (Store store : {Store::write, Store::add, Store::silu, Store::multiply})
            for (const float* added : {static_cast<const float*>(nullptr), static_cast<const float*>(bias.data())}) {
                std::vector<float> before = random.reals(kCount * kSize, -3, 3), out = before;
                path->product({Format::float32, tiles, kSize}, 0, 2, {input.data(), kSize, nullptr, kCount},
                              {out.data(), kSize, added, store});
                for (size_t i = 0; i < out.size(); ++i) {
                    double x = double(input[i]) + (added ? double(added[i % kSize]) : 0.0);
                    if (store == Store::add) x += before[i];
                    if (store == Store::silu) x /= 1 + std::exp(-x);
                    if (store == Store::multiply) x *= before[i];
                    expect(is_near(out[i], x, 1e-6 * (std::fabs(x) + 1)), "%s: store %d at %d is %.8g, not %.8g",
                           path->name, int(store), int(i), double(out[i]), x);
                }
            }
    }
}

}  // namespace self_check
