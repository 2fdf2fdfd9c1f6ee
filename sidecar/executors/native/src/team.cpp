#include "team.h"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace native {

namespace {

constexpr uint64_t kTurn = uint64_t(1) << 32;

uint32_t turn_of(uint64_t gate) { return uint32_t(gate >> 32); }
uint32_t inside(uint64_t gate) { return uint32_t(gate); }
bool is_open(uint32_t turn) { return turn % 2; }

}  // namespace

void Waiters::pause() {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

Team::Team(int threads) : size_(threads), ranges_(threads < kMaxRanges ? threads : kMaxRanges) {
    try {
        for (int i = 1; i < threads; ++i) threads_.emplace_back([this, i] { work(i); });
    } catch (...) {
        // The system has no more threads: those that run must end before their team does.
        stop();
        throw;
    }
}

Team::~Team() { stop(); }

void Team::stop() {
    stopping_ = true;
    waiters_.wake();
    for (auto& thread : threads_) thread.join();
}

void Team::open(size_t phases) {
    if (phases > phase_count_) {
        phases_ = std::make_unique<Phase[]>(phases);
        phase_count_ = phases;
    }
    for (size_t i = 0; i < phases; ++i) {
        for (auto& next : phases_[i].next) next.store(0, std::memory_order_relaxed);
        phases_[i].done.store(0, std::memory_order_relaxed);
    }
    gate_.fetch_add(kTurn);
    waiters_.wake();
}

void Team::close() {
    gate_.fetch_add(kTurn);
    waiters_.wait([this] { return inside(gate_.load()) == 0; });
}

void Team::work(int number) {
    for (uint32_t seen = 0;;) {
        uint64_t gate;
        waiters_.wait([&] {
            gate = gate_.load();
            return stopping_ || (is_open(turn_of(gate)) && turn_of(gate) != seen);
        });
        if (stopping_) return;
        // The run may have been closed meanwhile: then this fails, and there is nothing to enter.
        if (!gate_.compare_exchange_strong(gate, gate + 1)) continue;
        seen = turn_of(gate);
        Member member(*this, number);
        job_(context_, member);
        gate_.fetch_sub(1);
        waiters_.wake();
    }
}

}  // namespace native
