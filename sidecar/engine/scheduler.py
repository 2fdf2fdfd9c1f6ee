"""Which sequences compute how many tokens in the next step, and on which blocks.

Continuous batching with chunked prefill (Sarathi-Serve): every generating
sequence gets its one token, what is left of the step's token budget goes to
prompts. Knows neither text nor results; a step counts only once it is committed.

Order of service is (rank, arrival). The rank is the priority, raised by one
for every `ageing_seconds` of waiting, so nothing waits for ever. When blocks
run out the last in that order gives its blocks up and is computed again later;
the first is never preempted, so there is always progress.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sidecar.engine.block_pool import BlockPool, blocks_for
from sidecar.engine.sequence import Phase, Sequence
from sidecar.errors import Busy
from sidecar.executors.base import BLOCK_SIZE

GROWTH_ROOM = 16
"""Blocks that are left free behind a sequence, where possible, for its growth."""

Order = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ScheduledRow:
    """The next `count` tokens of a sequence are to be computed; `samples` when that reaches its end."""

    sequence: Sequence
    count: int
    samples: bool


class Scheduler:
    """Owns the order of the sequences and the accounts of their blocks."""

    def __init__(
        self,
        pool: BlockPool,
        *,
        max_batch_tokens: int,
        max_running: int,
        max_waiting: int,
        ageing_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pool = pool
        self.running: list[Sequence] = []
        self.waiting: list[Sequence] = []
        self.preemptions = 0
        self.queue_changed = False
        """Whether something joined or left the queue since it was last looked at."""
        self._max_batch_tokens = max_batch_tokens
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._ageing_seconds = ageing_seconds
        self._clock = clock
        self._now = clock()
        self._last_finish: float | None = None
        self._finish_interval = 1.0

    def add(self, sequence: Sequence) -> None:
        """Queue a new sequence. Raises Busy when too many wait for their first step."""
        new = sum(other.phase is Phase.WAITING and other.choice == 0 for other in self.waiting)
        if new >= self._max_waiting:
            raise Busy(
                f"{new} requests wait already, which is the limit; try again later",
                retry_after_ms=round(min(30.0, max(0.05, self._finish_interval)) * 1000),
            )
        self._queue(sequence, Phase.WAITING)

    def fork(self, parent: Sequence, child: Sequence) -> None:
        """Begin another choice of a prompt that is computed.

        The child shares the prompt's full blocks and gets a copy of the last
        one, so that only the last prompt token is computed again. Without room
        it waits like any other sequence.
        """
        child.waiting_since = self._now
        child.waited = parent.waited
        computed = parent.prompt_length - 1
        shared, partial = divmod(computed, BLOCK_SIZE)
        child_order = self._order(child)
        if len(self.running) >= self._max_running or any(
            self._order(other) < child_order for other in self.waiting
        ):
            self._queue(child, Phase.WAITING)
            return
        own = self.pool.allocate(1 if partial else 0, room=GROWTH_ROOM)
        if own is None:
            self._queue(child, Phase.WAITING)
            return
        child.block_table = [*parent.block_table[:shared], *own]
        child.copy_source = parent.block_table[shared] if partial else None
        self.pool.share(child.block_table[:shared])
        if child.copy_source is not None:
            self.pool.share([child.copy_source])
        child.computed = child.cached_tokens = computed
        child.block_hashes = parent.block_hashes[:shared]
        child.published = shared
        child.phase = Phase.RUNNING
        self.running.append(child)

    def schedule(self) -> list[ScheduledRow]:
        """The rows of the next step. Their blocks cover the new tokens."""
        self._now = self._clock()
        self._admit()
        running = sorted(self.running, key=self._order)
        rows = [
            ScheduledRow(sequence, 1, samples=True)
            for sequence in running
            if sequence.phase is Phase.RUNNING and sequence.uncomputed == 1 and self._grow(sequence)
        ]
        budget = self._max_batch_tokens - len(rows)
        for sequence in running:
            if sequence.phase is Phase.RUNNING and sequence.uncomputed > 1 and budget:
                count = min(sequence.uncomputed, budget)
                rows.append(ScheduledRow(sequence, count, samples=count == sequence.uncomputed))
                budget -= count
        return rows

    def commit(self, row: ScheduledRow) -> None:
        """The row was computed: its tokens are in the cache, its full blocks can be found."""
        sequence = row.sequence
        sequence.computed += row.count
        if sequence.copy_source is not None:
            self.pool.release([sequence.copy_source])
            sequence.copy_source = None
        full = sequence.computed // BLOCK_SIZE
        if self.pool.prefix_cache and full > sequence.published:
            hashes = sequence.hash_blocks(full, self.pool.root_hash)
            for index in range(sequence.published, full):
                self.pool.publish(sequence.block_table[index], hashes[index])
            sequence.published = full

    def finish(self, sequence: Sequence, *, forget: bool = False) -> None:
        """Take a sequence out, wherever it is. `forget` when the content of its blocks cannot be trusted."""
        phase, sequence.phase = sequence.phase, Phase.FINISHED
        if phase in (Phase.PENDING, Phase.FINISHED):
            return
        if phase is Phase.RUNNING:
            self.running.remove(sequence)
            if forget:
                self.pool.forget(sequence.references)
            self._release(sequence)
        else:
            self.waiting.remove(sequence)
            self.queue_changed = True
        now = self._clock()
        if self._last_finish is not None:
            self._finish_interval += (now - self._last_finish - self._finish_interval) / 4
        self._last_finish = now

    def waiting_in_order(self) -> list[Sequence]:
        """What waits, the next first; afterwards `queue_changed` is false."""
        self.queue_changed = False
        return sorted(self.waiting, key=self._order)

    def check_integrity(self) -> None:
        """Compare the pool's accounts with what the sequences hold. Raises InternalError."""
        self.pool.check_integrity(self._references())

    def _references(self) -> Iterator[int]:
        for sequence in (*self.running, *self.waiting):
            yield from sequence.references

    def _admit(self) -> None:
        while self.waiting and self._backlog() < self._max_batch_tokens:
            head = min(self.waiting, key=self._order)
            known = self.pool.match(
                head.hash_blocks((len(head.tokens) - 1) // BLOCK_SIZE, self.pool.root_hash)
                if self.pool.prefix_cache
                else ()
            )
            needed = blocks_for(len(head.tokens)) - len(known)
            if not self._make_room(head, known, needed):
                return
            self._begin(head, known, needed)

    def _backlog(self) -> int:
        return sum(sequence.uncomputed for sequence in self.running)

    def _make_room(self, head: Sequence, known: list[int], needed: int) -> bool:
        if self._fits(known, needed):
            return True
        rank = self._rank(head)
        victims = sorted(
            (sequence for sequence in self.running if self._rank(sequence) > rank), key=self._order
        )
        most = self.pool.available_beside(known) + sum(len(victim.references) for victim in victims)
        if not victims or most - (len(self.running) - len(victims)) < needed:
            return False
        while victims and not self._fits(known, needed):
            self._preempt(victims.pop())
        return self._fits(known, needed)

    def _fits(self, known: list[int], needed: int) -> bool:
        # A block for each running sequence to grow into, or it would soon be preempted again.
        spare = self.pool.available_beside(known) - len(self.running)
        return len(self.running) < self._max_running and spare >= needed

    def _begin(self, sequence: Sequence, known: list[int], needed: int) -> None:
        self.waiting.remove(sequence)
        self.queue_changed = True
        self.pool.share(known)
        own = self.pool.allocate(
            needed,
            after=known[-1] if known else None,
            room=min(GROWTH_ROOM, blocks_for(sequence.expected_growth)),
        )
        assert own is not None
        sequence.block_table = known + own
        sequence.computed = len(known) * BLOCK_SIZE
        sequence.published = len(known)
        if sequence.cached_tokens is None:
            sequence.cached_tokens = sequence.computed
        sequence.waited += self._now - sequence.waiting_since
        sequence.phase = Phase.RUNNING
        self.running.append(sequence)

    def _grow(self, sequence: Sequence) -> bool:
        """Give a generating sequence the block for its next token; False when it was preempted itself."""
        if sequence.computed < len(sequence.block_table) * BLOCK_SIZE:
            return True
        after = sequence.block_table[-1] if sequence.block_table else None
        while (own := self.pool.allocate(1, after=after, room=GROWTH_ROOM // 2)) is None:
            victim = max(self.running, key=self._order)
            self._preempt(victim)
            if victim is sequence:
                return False
        sequence.block_table += own
        return True

    def _preempt(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self._release(sequence)
        self._queue(sequence, Phase.PREEMPTED)
        self.preemptions += 1

    def _queue(self, sequence: Sequence, phase: Phase) -> None:
        sequence.phase = phase
        sequence.waiting_since = self._clock()
        self.waiting.append(sequence)
        self.queue_changed = True

    def _release(self, sequence: Sequence) -> None:
        self.pool.release(sequence.references)
        sequence.block_table = []
        sequence.copy_source = None
        sequence.computed = sequence.published = 0

    def _rank(self, sequence: Sequence) -> int:
        waited = sequence.waited
        if sequence.phase is not Phase.RUNNING:
            waited += self._now - sequence.waiting_since
        return max(0, sequence.priority - int(waited / self._ageing_seconds))

    def _order(self, sequence: Sequence) -> Order:
        return self._rank(sequence), sequence.arrival, sequence.choice
