// A team of threads that goes through a step together, phase by phase.
//
// The work of a phase is handed out in items, and a phase is over when all its items are done, not
// when all threads were there: a thread that the system keeps from running holds nobody up unless
// it is in the midst of an item. It catches up by running through phases that have nothing left.
//
// The caller's thread is number 0. The others wait for work: they spin for some microseconds, which
// is what lies between two phases, and then sleep, so that an idle engine uses no processor.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace native {

// Threads that wait for something to become true.
class Waiters {
  public:
    template <class Condition>
    void wait(Condition is_true) {
        for (int i = 0; i < kSpins; ++i) {
            if (is_true()) return;
            pause();
        }
        std::unique_lock<std::mutex> lock(mutex_);
        sleeping_.fetch_add(1);
        changed_.wait(lock, is_true);
        sleeping_.fetch_sub(1);
    }
    // To be called after what `is_true` looks at has changed.
    void wake() {
        if (!sleeping_.load()) return;
        std::lock_guard<std::mutex> lock(mutex_);
        changed_.notify_all();
    }

  private:
    static constexpr int kSpins = 4000;
    static void pause();

    std::atomic<int> sleeping_{0};
    std::mutex mutex_;
    std::condition_variable changed_;
};

class Team {
  public:
    // One thread's way through the phases of a run. Every thread goes through the same ones.
    class Member {
      public:
        Member(Team& team, int number) : team_(team), number_(number) {}
        int number() const { return number_; }

        // The next phase: items [0, count), `chunk` at a time to whichever thread asks, by
        // work(begin, end). Each thread begins with a range of its own, so that it goes through
        // memory in one direction, and then helps the others. Returns when all items are done;
        // what was written is seen by all.
        template <class Work>
        void share(size_t count, size_t chunk, Work work) {
            Phase& phase = team_.phases_[phase_++];
            size_t chunks = (count + chunk - 1) / chunk, ranges = size_t(team_.ranges_);
            for (size_t i = 0; i < ranges; ++i) {
                size_t range = (size_t(number_) + i) % ranges;
                size_t first = chunks * range / ranges, length = chunks * (range + 1) / ranges - first;
                for (size_t next; (next = phase.next[range].fetch_add(1, std::memory_order_relaxed)) < length;) {
                    size_t begin = (first + next) * chunk;
                    size_t end = begin + chunk < count ? begin + chunk : count;
                    work(begin, end);
                    if (phase.done.fetch_add(end - begin) + end - begin == count) team_.waiters_.wake();
                }
            }
            if (phase.done.load(std::memory_order_acquire) != count)
                team_.waiters_.wait([&] { return phase.done.load() == count; });
        }

        // A phase of one item.
        template <class Work>
        void once(Work work) {
            share(1, 1, [&](size_t, size_t) { work(); });
        }

      private:
        Team& team_;
        int number_;
        size_t phase_ = 0;
    };

    explicit Team(int threads);
    ~Team();
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    int size() const { return size_; }

    // Runs work(member) on every thread that comes in time; returns when no thread works any more.
    // `phases`: the most that work goes through. Work must not throw.
    template <class Work>
    void run(size_t phases, Work work) {
        job_ = [](void* context, Member& member) { (*static_cast<Work*>(context))(member); };
        context_ = &work;
        open(phases);
        Member member(*this, 0);
        work(member);
        close();
    }

  private:
    static constexpr int kMaxRanges = 12;  // what fits into a line of memory
    struct alignas(64) Phase {
        std::atomic<uint32_t> next[kMaxRanges] = {};
        std::atomic<size_t> done{0};
    };

    void open(size_t phases);
    void close();
    void stop();
    void work(int number);

    int size_, ranges_;
    void (*job_)(void*, Member&) = nullptr;
    void* context_ = nullptr;
    std::unique_ptr<Phase[]> phases_;
    size_t phase_count_ = 0;
    // How many threads other than 0 are inside a run (low half), and how often a run was opened or
    // closed (high half): an odd number means that one is open.
    alignas(64) std::atomic<uint64_t> gate_{0};
    std::atomic<bool> stopping_{false};
    Waiters waiters_;
    std::vector<std::thread> threads_;
};

}  // namespace native
