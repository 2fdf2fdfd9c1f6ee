// A team's promises: every item once, phases one after the other, run after run.
#include "team.h"

#include <atomic>

#include "harness.h"

namespace self_check {

namespace {

constexpr size_t kPhases = 24;

// Each phase reads all that the phase before wrote, so that an early start would be seen.
void check_runs(int threads, size_t items, size_t chunk, int runs) {
    native::Team team(threads);
    expect(team.size() == threads, "a team of %d has %d threads", threads, team.size());
    std::vector<uint32_t> now(items), before(items);
    std::atomic<int> wrong{0}, ends{0};
    for (int run = 0; run < runs; ++run) {
        int singles = 0;
        uint64_t added = 0;
        team.run(3 * kPhases, [&](auto& member) {
            for (size_t phase = 0; phase < kPhases; ++phase) {
                member.share(items, chunk, [&](size_t begin, size_t end) {
                    if (begin >= end || end > items || end - begin > chunk) ++wrong;
                    for (size_t i = begin; i < end; ++i) now[i] = before[items - 1 - i] + uint32_t(phase) + 1;
                });
                member.share(items, chunk, [&](size_t begin, size_t end) {
                    for (size_t i = begin; i < end; ++i) before[i] = now[i];
                });
                member.once([&] {
                    ++singles;
                    for (uint32_t value : before) added += value;
                });
            }
            ++ends;
        });
        uint32_t expected = uint32_t(run + 1) * kPhases * (kPhases + 1) / 2;
        bool is_right = singles == int(kPhases);
        for (uint32_t value : before) is_right &= value == expected;
        expect(is_right && added, "%d threads, %d items by %d: run %d lost or repeated work", threads, int(items),
               int(chunk), run);
    }
    expect(wrong == 0, "%d threads: parts of a phase are wrong", threads);
    expect(ends >= runs && ends <= runs * threads, "%d threads: %d ends of %d runs", threads, ends.load(), runs);
}

}  // namespace

void check_team() {
    for (int threads = 1; threads <= 4; ++threads) {
        check_runs(threads, 1, 1, 50);
        check_runs(threads, 97, 1, 30);
        check_runs(threads, 97, 8, 50);
        check_runs(threads, 1000, 64, 30);
    }
    for (int i = 0; i < 50; ++i) check_runs(1 + i % 4, 3, 1, 1);
}

}  // namespace self_check
