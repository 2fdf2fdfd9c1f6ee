"""A sequence: one choice of one request, on its way through the scheduler."""

import enum
from dataclasses import dataclass, field

from sidecar.engine.block_pool import chained_hash
from sidecar.executors.base import BLOCK_SIZE
from sidecar.generation import Priority, RequestId


class Phase(enum.Enum):
    """Where a sequence is."""

    PENDING = "pending"
    """A further choice whose prompt the first one still computes; the scheduler does not know it."""
    WAITING = "waiting"
    """Not begun; holds no block."""
    RUNNING = "running"
    PREEMPTED = "preempted"
    """Begun, but its blocks were taken; waits, and is computed again when it resumes."""
    FINISHED = "finished"


@dataclass(slots=True, eq=False, kw_only=True)
class Sequence:
    """Tokens of the prompt and what was generated, and where their keys and values lie.

    `computed` tokens from the beginning are in the cache; `block_table` covers
    them. It changes only when a step is committed, so a failed step leaves the
    sequence as it was.
    """

    request_id: RequestId
    choice: int
    priority: Priority
    arrival: int
    """Number of the request, in order of arrival."""
    tokens: list[int]
    prompt_length: int
    expected_growth: int
    """Most tokens that may follow the prompt."""
    phase: Phase = Phase.PENDING
    computed: int = 0
    block_table: list[int] = field(default_factory=list)
    copy_source: int | None = None
    """Referenced block that the last block of the table must be copied from before the next step."""
    block_hashes: list[bytes] = field(default_factory=list)
    published: int = 0
    """Blocks of the table that were offered to the prefix cache."""
    cached_tokens: int | None = None
    """Tokens that the first admission found in the prefix cache."""
    waiting_since: float = 0.0
    waited: float = 0.0
    """Seconds spent waiting before `waiting_since`."""

    @property
    def uncomputed(self) -> int:
        """Tokens that are not in the cache: 1 while it generates."""
        return len(self.tokens) - self.computed

    @property
    def references(self) -> list[int]:
        """Every block reference that it holds."""
        return self.block_table if self.copy_source is None else [*self.block_table, self.copy_source]

    def hash_blocks(self, count: int, root_hash: bytes) -> list[bytes]:
        """Keys of the first `count` full blocks of the tokens."""
        hashes = self.block_hashes
        while len(hashes) < count:
            start = len(hashes) * BLOCK_SIZE
            parent = hashes[-1] if hashes else root_hash
            hashes.append(chained_hash(parent, self.tokens[start : start + BLOCK_SIZE]))
        return hashes[:count]
