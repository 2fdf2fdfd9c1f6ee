// What this machine can do at best, against which a step is measured: how fast memory is read, which
// is the limit of decoding, and how fast weights and tokens that lie in the caches are multiplied,
// which is the limit of prompts. Each with as many threads as a model would use.
#include <atomic>
#include <chrono>
#include <cstring>

#include "abi.h"
#include "memory.h"
#include "paths.h"
#include "team.h"

using namespace native;

namespace {

constexpr size_t kPieceBytes = size_t(1) << 16;
constexpr size_t kAheadBytes = 4096;
constexpr int kMaxThreads = 256;
constexpr int64_t kMaxBytes = int64_t(1) << 36;

// Of a product that stays in the second cache: 60 to 130 KiB of weights and 73 KiB of tokens.
constexpr size_t kTiles = 6, kColumns = 1024;
constexpr int32_t kMaxTokens = 64;
constexpr size_t kTokensPerThread = 64000;  // in all of its products together

// How long a team takes for `items` times work(thread, item).
template <class Work>
double seconds_of(Team& team, size_t items, Work work) {
    auto begin = std::chrono::steady_clock::now();
    team.run(1, [&](Team::Member& member) {
        member.share(items, 1, [&](size_t item, size_t) { work(size_t(member.number()), item); });
    });
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// The sum of every line's first word: memory gives whole lines, and nothing but memory is waited for.
uint64_t read_all(const uint8_t* memory, size_t bytes) {
    uint64_t sums[4] = {};
    for (size_t offset = 0; offset + 256 <= bytes; offset += 256)
        for (size_t line = 0; line < 4; ++line) {
            __builtin_prefetch(memory + offset + 64 * line + kAheadBytes, 0, 2);
            uint64_t word;
            std::memcpy(&word, memory + offset + 64 * line, sizeof word);
            sums[line] += word;
        }
    return sums[0] + sums[1] + sums[2] + sums[3];
}

}  // namespace

double native_test_bandwidth(int64_t bytes, int32_t threads) {
    if (bytes < int64_t(kPieceBytes) || bytes > kMaxBytes || threads < 1 || threads > kMaxThreads) return -1;
    Pages pages = allocate_pages(size_t(bytes));
    if (!pages) return -1;
    std::memset(pages.get(), 1, size_t(bytes));
    Team team(threads);
    std::atomic<uint64_t> total{0};
    double seconds = seconds_of(team, size_t(bytes) / kPieceBytes, [&](size_t, size_t piece) {
        total += read_all(pages.get() + piece * kPieceBytes, kPieceBytes);
    });
    // Using the sum keeps the compiler from leaving out the reading.
    return total.load() ? double(bytes) / seconds : -1;
}

double native_test_multiplications(const char* path, int32_t format, int32_t tokens, int32_t threads) {
    const Kernels* kernels = path ? find_path(path) : nullptr;
    if (!kernels || format < 0 || format >= int32_t(Format::count) || !is_quantized(Format(format)) || tokens < 1 ||
        tokens > kMaxTokens || threads < 1 || threads > kMaxThreads)
        return -1;
    constexpr size_t groups = groups_of(kColumns), stride = kTiles * kTileRows;
    size_t count = size_t(tokens);
    Pages packed = allocate_pages(kTiles * tile_bytes(Format(format), kColumns));
    Pages activations = allocate_pages(kMaxTokens / kTokenBlock * groups * sizeof(ActivationGroup));
    Pages results = allocate_pages(size_t(threads) * count * stride * sizeof(float));
    if (!packed || !activations || !results) return -1;
    Weights weights{Format(format), packed.get(), kColumns};
    Activations input{nullptr, 0, reinterpret_cast<const ActivationGroup*>(activations.get()), count};
    auto* values = reinterpret_cast<float*>(results.get());
    Team team(threads);
    size_t products = size_t(threads) * (kTokensPerThread / count);
    double seconds = seconds_of(team, products, [&](size_t thread, size_t) {
        kernels->product(weights, 0, kTiles, input, {values + thread * count * stride, stride, nullptr, Store::write});
    });
    return double(products * stride * kColumns * count) / seconds;
}
