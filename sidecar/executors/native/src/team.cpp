#include "team.h"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace native {

namespace {

constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

void Team::Signal::raise() {
    value.fetch_add(1);
    if (sleepers.load()) {
        std::lock_guard<std::mutex> lock(mutex);
        changed.notify_all();
    }
}

void Team::Signal::wait(uint32_t seen) {
    for (int i = 0; i < kSpins; ++i) {
        if (value.load(std::memory_order_acquire) != seen) return;
        pause();
    }
    std::unique_lock<std::mutex> lock(mutex);
    sleepers.fetch_add(1);
    changed.wait(lock, [&] { return value.load() != seen; });
    sleepers.fetch_sub(1);
}

Team::Team(int threads) : size_(threads) {
    for (int i = 1; i < threads; ++i) threads_.emplace_back([this, i] { work(i); });
}

Team::~Team() {
    stopping_ = true;
    begin_.raise();
    for (auto& thread : threads_) thread.join();
}

void Team::start() {
    next_.store(0);
    if (size_ > 1) begin_.raise();
    job_(context_, 0);
    barrier();
}

void Team::work(int thread) {
    for (uint32_t seen = 0;; ++seen) {
        begin_.wait(seen);
        if (stopping_) return;
        job_(context_, thread);
        barrier();
    }
}

void Team::barrier() {
    if (size_ == 1) {
        next_.store(0, std::memory_order_relaxed);
        return;
    }
    uint32_t seen = phase_.value.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 < size_) {
        phase_.wait(seen);
        return;
    }
    arrived_.store(0, std::memory_order_relaxed);
    next_.store(0, std::memory_order_relaxed);
    phase_.raise();
}

}  // namespace native
