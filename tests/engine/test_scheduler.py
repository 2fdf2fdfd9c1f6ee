import pytest

from sidecar.engine.block_pool import BlockPool
from sidecar.engine.scheduler import ScheduledRow, Scheduler
from sidecar.engine.sequence import Phase, Sequence
from sidecar.errors import Busy
from sidecar.generation import Priority


class Bench:
    """A scheduler whose steps all succeed; each sampled token is 1."""

    def __init__(
        self,
        *,
        blocks: int = 64,
        max_batch_tokens: int = 32,
        max_running: int = 8,
        max_waiting: int = 100,
        prefix_cache: bool = True,
    ) -> None:
        self.now = 0.0
        self.scheduler = Scheduler(
            BlockPool(blocks, prefix_cache=prefix_cache),
            max_batch_tokens=max_batch_tokens,
            max_running=max_running,
            max_waiting=max_waiting,
            ageing_seconds=10.0,
            clock=lambda: self.now,
        )
        self.arrivals = 0

    def add(
        self, prompt: int | list[int], priority: Priority = Priority.NORMAL, *, choice: int = 0
    ) -> Sequence:
        sequence = self.sequence(prompt, priority, choice=choice)
        self.scheduler.add(sequence)
        return sequence

    def sequence(
        self, prompt: int | list[int], priority: Priority = Priority.NORMAL, *, choice: int = 0
    ) -> Sequence:
        self.arrivals += 1
        # Prompts that differ from the first token on, unless they are given.
        tokens = [1000 + self.arrivals] * prompt if isinstance(prompt, int) else list(prompt)
        return Sequence(
            request_id=str(self.arrivals),
            choice=choice,
            priority=priority,
            arrival=self.arrivals,
            tokens=tokens,
            prompt_length=len(tokens),
            expected_growth=100,
        )

    def step(self) -> list[tuple[Sequence, int]]:
        rows = self.scheduler.schedule()
        for row in rows:
            self.commit(row)
        self.scheduler.check_integrity()
        return [(row.sequence, row.count) for row in rows]

    def commit(self, row: ScheduledRow) -> None:
        self.scheduler.commit(row)
        if row.samples:
            row.sequence.tokens.append(1)


def test_generating_sequences_go_first_and_prompts_take_the_rest_of_the_budget() -> None:
    bench = Bench(max_batch_tokens=32)
    short, long = bench.add(5), bench.add(70)
    assert bench.step() == [(short, 5), (long, 27)]
    assert bench.step() == [(short, 1), (long, 31)]
    assert bench.step() == [(short, 1), (long, 12)]
    assert bench.step() == [(short, 1), (long, 1)]


def test_only_the_row_that_reaches_the_end_samples() -> None:
    bench = Bench(max_batch_tokens=32)
    bench.add(40)
    assert [row.samples for row in bench.scheduler.schedule()] == [False]
    bench.step()
    assert [row.samples for row in bench.scheduler.schedule()] == [True]


def test_higher_priorities_begin_first_and_equal_ones_in_order_of_arrival() -> None:
    bench = Bench(max_running=1)
    order = [Priority.BACKGROUND, Priority.NORMAL, Priority.INTERACTIVE, Priority.NORMAL]
    sequences = [bench.add(3, priority) for priority in order]
    begun = []
    for _ in sequences:
        ((sequence, _),) = bench.step()
        begun.append(sequence)
        bench.scheduler.finish(sequence)
    assert begun == [sequences[2], sequences[1], sequences[3], sequences[0]]


def test_without_free_blocks_the_least_in_order_gives_way_and_resumes_where_it_was() -> None:
    bench = Bench(blocks=4, max_batch_tokens=64, prefix_cache=False)
    first, second = bench.add(31), bench.add(15)
    assert bench.step() == [(first, 31), (second, 15)]
    assert bench.step() == [(first, 1), (second, 1)]
    assert bench.step() == [(first, 1)]
    assert second.phase is Phase.PREEMPTED
    assert second.block_table == []
    assert bench.scheduler.preemptions == 1
    assert len(second.tokens) == 17
    bench.scheduler.finish(first)
    assert bench.step() == [(second, 17)]


def test_a_resumed_sequence_finds_its_own_blocks_again() -> None:
    bench = Bench(blocks=8)
    sequence = bench.add(40)
    bench.step()
    bench.step()
    urgent = bench.add(90, Priority.INTERACTIVE)
    bench.step()
    assert (sequence.phase, urgent.phase) == (Phase.PREEMPTED, Phase.RUNNING)
    bench.scheduler.finish(urgent)
    ((resumed, count),) = bench.step()
    assert resumed is sequence
    assert count < 32


def test_a_resumed_sequence_offers_its_blocks_to_the_prefix_cache_again() -> None:
    bench = Bench(blocks=8)
    sequence = bench.add(40)
    bench.step()
    bench.step()
    urgent = bench.add(112, Priority.INTERACTIVE)
    bench.step()
    bench.scheduler.finish(urgent)
    bench.step()
    bench.step()
    pool = bench.scheduler.pool
    assert pool.match(sequence.hash_blocks(2, pool.root_hash)) == sequence.block_table[:2]


def test_the_latest_gives_way_even_when_an_earlier_one_needs_the_block() -> None:
    bench = Bench(blocks=6, max_batch_tokens=64)
    sequences = [bench.add(size) for size in (14, 17, 10)]
    for _ in range(17):
        bench.step()
    phases = [sequence.phase for sequence in sequences]
    assert phases == [Phase.RUNNING, Phase.RUNNING, Phase.PREEMPTED]


def test_admission_leaves_a_block_for_each_that_runs() -> None:
    bench = Bench(blocks=3)
    bench.add(15)
    bench.step()
    second = bench.add(20)
    bench.step()
    assert bench.scheduler.pool.available >= 1
    assert second.phase is Phase.WAITING


def test_of_several_lower_ones_the_latest_gives_way() -> None:
    bench = Bench(max_running=2)
    older, newer = (bench.add(3, Priority.BACKGROUND) for _ in range(2))
    bench.step()
    bench.add(3, Priority.INTERACTIVE)
    bench.step()
    assert (older.phase, newer.phase) == (Phase.RUNNING, Phase.PREEMPTED)


def test_a_higher_priority_takes_the_place_of_a_lower_one_but_not_of_its_own() -> None:
    bench = Bench(max_running=1)
    background = bench.add(3, Priority.BACKGROUND)
    bench.step()
    interactive = bench.add(3, Priority.INTERACTIVE)
    another = bench.add(3, Priority.INTERACTIVE)
    assert bench.step() == [(interactive, 3)]
    assert background.phase is Phase.PREEMPTED
    assert bench.step() == [(interactive, 1)]
    assert another.phase is Phase.WAITING


def test_nobody_is_preempted_for_one_that_would_not_fit_anyway() -> None:
    bench = Bench(blocks=8)
    bench.add(70, Priority.INTERACTIVE)
    background = bench.add(10, Priority.BACKGROUND)
    for _ in range(4):
        bench.step()
    large = bench.add(80, Priority.INTERACTIVE)
    bench.step()
    assert (background.phase, large.phase) == (Phase.RUNNING, Phase.WAITING)


def test_a_large_request_is_not_overtaken_by_small_ones_behind_it() -> None:
    bench = Bench(blocks=6)
    running = bench.add(50)
    bench.step()
    bench.step()
    large = bench.add(60)
    small = bench.add(3)
    bench.step()
    assert (large.phase, small.phase) == (Phase.WAITING, Phase.WAITING)
    bench.scheduler.finish(running)
    bench.step()
    assert large.phase is Phase.RUNNING


def test_waiting_raises_the_rank_so_that_background_work_is_never_starved() -> None:
    bench = Bench(max_running=1)
    background = bench.add(3, Priority.BACKGROUND)
    for _ in range(100):
        bench.now += 1.0
        interactive = bench.add(3, Priority.INTERACTIVE)
        ((served, _),) = bench.step()
        bench.scheduler.finish(served)
        if served is background:
            break
        bench.scheduler.finish(interactive)
    assert served is background
    assert bench.now == pytest.approx(20.0, abs=1.0)


def test_what_has_waited_long_keeps_its_rank_while_it_runs() -> None:
    bench = Bench(max_running=1)
    background = bench.add(3, Priority.BACKGROUND)
    bench.now = 25.0
    assert bench.step() == [(background, 3)]
    bench.add(3, Priority.INTERACTIVE)
    assert bench.step() == [(background, 1)]


def test_running_does_not_count_as_waiting() -> None:
    bench = Bench(max_running=1)
    background = bench.add(3, Priority.BACKGROUND)
    bench.step()
    bench.now = 60.0
    interactive = bench.add(3, Priority.INTERACTIVE)
    assert bench.step() == [(interactive, 3)]
    assert background.phase is Phase.PREEMPTED


def test_a_full_queue_is_busy_and_says_when_to_come_again() -> None:
    bench = Bench(max_waiting=2)
    bench.add(3)
    bench.add(3)
    with pytest.raises(Busy, match="2 requests wait already") as caught:
        bench.add(3)
    assert caught.value.retryable
    assert caught.value.data["retry_after_ms"] == 1000
    bench.step()
    bench.add(3)


def test_the_advised_wait_follows_the_pace_of_finished_requests() -> None:
    bench = Bench(max_waiting=1)
    for _ in range(20):
        sequence = bench.add(3)
        bench.step()
        bench.now += 0.2
        bench.scheduler.finish(sequence)
    bench.add(3)
    with pytest.raises(Busy) as caught:
        bench.add(3)
    assert caught.value.data["retry_after_ms"] == pytest.approx(200, abs=20)


def test_a_known_prefix_is_not_computed_again_but_its_last_token_is() -> None:
    bench = Bench()
    prompt = list(range(32))
    first = bench.add(prompt)
    assert bench.step() == [(first, 32)]
    second, longer = bench.add(prompt), bench.add([*prompt, 7])
    assert bench.step() == [(first, 1), (longer, 1), (second, 16)]
    assert (first.cached_tokens, second.cached_tokens, longer.cached_tokens) == (0, 16, 32)
    assert second.block_table[0] == first.block_table[0]
    assert second.block_table[1] != first.block_table[1]


def test_a_block_cannot_be_found_before_its_step_was_committed() -> None:
    bench = Bench(max_batch_tokens=64)
    prompt = list(range(40))
    bench.add(prompt)
    rows = bench.scheduler.schedule()
    twin = bench.add(prompt)
    bench.scheduler.schedule()
    assert twin.cached_tokens == 0
    assert rows[0].sequence.published == 0


@pytest.mark.parametrize("prompt_length", [1, 16, 17, 32, 40])
def test_a_fork_shares_full_blocks_and_copies_the_last(prompt_length: int) -> None:
    bench = Bench(max_batch_tokens=64)
    parent = bench.add(list(range(prompt_length)))
    (row,) = bench.scheduler.schedule()
    bench.scheduler.commit(row)
    child = bench.sequence(list(range(prompt_length)), choice=1)
    bench.scheduler.fork(parent, child)
    parent.tokens.append(1)
    shared, partial = divmod(prompt_length - 1, 16)
    assert child.phase is Phase.RUNNING
    assert child.uncomputed == 1
    assert child.block_table[:shared] == parent.block_table[:shared]
    assert child.copy_source == (parent.block_table[shared] if partial else None)
    bench.scheduler.check_integrity()
    bench.scheduler.finish(parent)
    bench.scheduler.check_integrity()
    assert bench.step() == [(child, 1)]
    assert child.copy_source is None


def test_a_fork_without_room_waits_and_finds_the_prompt_in_the_cache() -> None:
    bench = Bench(max_running=1, max_batch_tokens=64)
    parent = bench.add(list(range(40)))
    (row,) = bench.scheduler.schedule()
    bench.commit(row)
    child = bench.sequence(list(range(40)), choice=1)
    bench.scheduler.fork(parent, child)
    assert child.phase is Phase.WAITING
    bench.scheduler.finish(parent)
    assert bench.step() == [(child, 8)]


def test_a_fork_does_not_overtake_what_is_before_it() -> None:
    bench = Bench(blocks=8, max_batch_tokens=64)
    bench.now = 1000.0
    older = bench.sequence(100)
    parent = bench.add(40)
    (row,) = bench.scheduler.schedule()
    bench.commit(row)
    bench.scheduler.add(older)
    bench.step()
    child = bench.sequence(parent.tokens[:40], choice=1)
    bench.scheduler.fork(parent, child)
    assert (older.phase, child.phase) == (Phase.WAITING, Phase.WAITING)


def test_a_fork_has_waited_as_long_as_its_parent() -> None:
    bench = Bench(max_running=1, max_batch_tokens=64)
    parent = bench.add(list(range(40)), Priority.BACKGROUND)
    bench.now = 25.0
    (row,) = bench.scheduler.schedule()
    bench.commit(row)
    child = bench.sequence(list(range(40)), Priority.BACKGROUND, choice=1)
    bench.scheduler.fork(parent, child)
    bench.add(3, Priority.INTERACTIVE)
    bench.scheduler.finish(parent)
    ((served, _),) = bench.step()
    assert served is child


def test_finishing_twice_or_before_the_scheduler_knew_it_changes_nothing() -> None:
    bench = Bench()
    unknown, known = bench.sequence(3), bench.add(3)
    bench.step()
    for sequence in (unknown, known, known):
        bench.scheduler.finish(sequence)
        assert sequence.phase is Phase.FINISHED
    bench.scheduler.check_integrity()
    assert bench.scheduler.pool.available == bench.scheduler.pool.total


def test_a_sequence_grows_into_adjacent_blocks() -> None:
    bench = Bench()
    first, second = bench.add(20), bench.add(10)
    for _ in range(60):
        bench.step()
    for sequence in (first, second):
        start = sequence.block_table[0]
        assert sequence.block_table == list(range(start, start + len(sequence.block_table)))
