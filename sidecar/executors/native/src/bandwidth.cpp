// How fast this machine's memory can be read by as many threads as a model would use: the limit of
// decoding, against which a step is measured.
#include <chrono>
#include <cstring>

#include "abi.h"
#include "memory.h"
#include "team.h"

using namespace native;

namespace {

constexpr size_t kPieceBytes = size_t(1) << 16;
constexpr int kMaxThreads = 256;
constexpr int64_t kMaxBytes = int64_t(1) << 36;

uint64_t read_all(const uint8_t* memory, size_t bytes) {
    uint64_t sums[8] = {};
    for (size_t offset = 0; offset + sizeof sums <= bytes; offset += sizeof sums) {
        uint64_t words[8];
        std::memcpy(words, memory + offset, sizeof words);
        for (int i = 0; i < 8; ++i) sums[i] += words[i];
    }
    uint64_t total = 0;
    for (uint64_t sum : sums) total += sum;
    return total;
}

}  // namespace

double native_test_bandwidth(int64_t bytes, int32_t threads) {
    if (bytes < int64_t(kPieceBytes) || bytes > kMaxBytes || threads < 1 || threads > kMaxThreads) return -1;
    Pages pages = allocate_pages(size_t(bytes));
    if (!pages) return -1;
    std::memset(pages.get(), 1, size_t(bytes));
    Team team(threads);
    std::atomic<uint64_t> total{0};
    auto begin = std::chrono::steady_clock::now();
    team.run(1, [&](Team::Member& member) {
        member.share(size_t(bytes) / kPieceBytes, 1, [&](size_t piece, size_t) {
            total += read_all(pages.get() + piece * kPieceBytes, kPieceBytes);
        });
    });
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    // Using the sum keeps the compiler from leaving out the reading.
    return total.load() ? double(bytes) / seconds : -1;
}
