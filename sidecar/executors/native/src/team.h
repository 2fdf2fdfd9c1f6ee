// A team of threads that goes through a step together, phase by phase.
//
// The caller's thread is number 0. The others wait for work: they spin for some microseconds,
// which is what lies between two phases, and then sleep, so that an idle engine uses no processor.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace native {

class Team {
  public:
    explicit Team(int threads);
    ~Team();
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    int size() const { return size_; }

    // Runs work(thread) on every thread; returns when all are done. Work must not throw.
    template <class Work>
    void run(Work work) {
        job_ = [](void* context, int thread) { (*static_cast<Work*>(context))(thread); };
        context_ = &work;
        start();
    }

    // Waits until every thread is here; what all wrote before is then seen by all.
    void barrier();

    // Within a phase: hands out items [0, count) to whichever thread asks, `chunk` at a time.
    // A barrier must stand between two such loops.
    template <class Work>
    void share(size_t count, size_t chunk, Work work) {
        for (size_t begin; (begin = next_.fetch_add(chunk, std::memory_order_relaxed)) < count;)
            work(begin, begin + chunk < count ? begin + chunk : count);
    }

  private:
    // A number that threads wait to see changed.
    struct Signal {
        std::atomic<uint32_t> value{0};
        std::atomic<uint32_t> sleepers{0};
        std::mutex mutex;
        std::condition_variable changed;

        void raise();
        void wait(uint32_t seen);
    };

    void start();
    void work(int thread);

    int size_;
    void (*job_)(void*, int) = nullptr;
    void* context_ = nullptr;
    bool stopping_ = false;
    Signal begin_;
    Signal phase_;
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<size_t> next_{0};
    std::vector<std::thread> threads_;
};

}  // namespace native
