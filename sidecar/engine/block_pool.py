"""Cache blocks: who holds which, which may be given up, and which content can be found again.

Knows block ids, token ids and reference counts; nothing of sequences' phases.
A block is owned (referenced once or more often), cached (unreferenced, its
content kept for the prefix cache until room is needed) or free. The prefix
cache is vLLM's: a full block's key is a hash chained over all tokens before it.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from sidecar.errors import InternalError
from sidecar.executors.base import BLOCK_SIZE

EVICTION_BATCH = 8
"""Cached blocks given up at once: they are often neighbours, and neighbours make the next runs."""

_FREE = b"\1"


def blocks_for(tokens: int) -> int:
    """How many blocks hold `tokens` tokens."""
    return -(-tokens // BLOCK_SIZE)


def chained_hash(parent: bytes, token_ids: Sequence[int]) -> bytes:
    """Key of a full block whose predecessor's key is `parent`."""
    return blake2b(parent + array("I", token_ids).tobytes(), digest_size=16).digest()


class BlockPool:
    """`total` blocks, ids 0 to total - 1. `namespace` names everything that makes cached content differ."""

    def __init__(self, total: int, *, namespace: str = "", prefix_cache: bool = True) -> None:
        self.total = total
        self.root_hash = blake2b(namespace.encode(), digest_size=16).digest()
        self.prefix_cache = prefix_cache
        self._references = [0] * total
        self._free_map = bytearray(_FREE * total)
        self._free_count = total
        self._hash_of: dict[int, bytes] = {}
        self._block_of: dict[bytes, int] = {}
        # Unreferenced blocks with known content, least recently used first.
        self._cached: dict[int, None] = {}
        self._cursor = 0

    @property
    def free(self) -> int:
        """Blocks without content."""
        return self._free_count

    @property
    def cached(self) -> int:
        """Blocks held for the prefix cache alone."""
        return len(self._cached)

    @property
    def available(self) -> int:
        """Blocks that an allocation may take."""
        return self._free_count + len(self._cached)

    def available_beside(self, blocks: Sequence[int]) -> int:
        """Blocks that an allocation may take once `blocks` are shared."""
        return self.available - sum(not self._references[block] for block in blocks)

    def match(self, hashes: Iterable[bytes]) -> list[int]:
        """The blocks that hold the longest known beginning of a chain; they may vanish unless shared."""
        found: list[int] = []
        for key in hashes:
            block = self._block_of.get(key)
            if block is None:
                break
            found.append(block)
        return found

    def share(self, blocks: Iterable[int]) -> None:
        """Take a reference to each block, which is owned or cached."""
        for block in blocks:
            if self._references[block] == 0:
                del self._cached[block]
            self._references[block] += 1

    def allocate(self, count: int, *, after: int | None = None, room: int = 0) -> list[int] | None:
        """`count` blocks with one reference each, or None when there are not so many.

        Adjacent ids where it can: right behind the block `after`, or else a run
        with `room` free ids behind it for what follows.
        """
        if count > self.available:
            return None
        shortage = count - self._free_count
        if shortage > 0:
            self._evict(max(shortage, EVICTION_BATCH))
        blocks = self._behind(after, count) if after is not None else []
        while len(blocks) < count:
            blocks += self._run(count - len(blocks), room)
        return blocks

    def release(self, blocks: Sequence[int]) -> None:
        """Give a reference to each block back."""
        # The end of a chain is worthless without its beginning, so it becomes the older one.
        for block in reversed(blocks):
            self._references[block] -= 1
            if self._references[block] == 0:
                if block in self._hash_of:
                    self._cached[block] = None
                else:
                    self._set_free(block)

    def publish(self, block: int, key: bytes) -> None:
        """Make the content of a full block findable. Only for content that a finished step wrote."""
        if self.prefix_cache and key not in self._block_of:
            self._block_of[key] = block
            self._hash_of[block] = key

    def forget(self, blocks: Iterable[int]) -> None:
        """Make the content of owned blocks unfindable."""
        for block in blocks:
            key = self._hash_of.pop(block, None)
            if key is not None:
                del self._block_of[key]

    def check_integrity(self, references: Iterable[int]) -> None:
        """Compare the accounts with every reference that is held outside. Raises InternalError."""
        held = Counter(references)
        for block in range(self.total):
            owned, cached, free = (
                self._references[block] > 0,
                block in self._cached,
                self._free_map[block] == 1,
            )
            if self._references[block] != held[block]:
                raise InternalError(
                    f"block {block} counts {self._references[block]} references, {held[block]} are held"
                )
            if owned + cached + free != 1:
                raise InternalError(f"block {block} is owned: {owned}, cached: {cached}, free: {free}")
            if (cached and block not in self._hash_of) or (free and block in self._hash_of):
                raise InternalError(f"block {block} has the wrong place for its content")
        if self._free_count != sum(self._free_map):
            raise InternalError(f"{self._free_count} blocks are counted as free, {sum(self._free_map)} are")
        if {key: block for block, key in self._hash_of.items()} != self._block_of:
            raise InternalError("the prefix cache's two directions differ")

    def _evict(self, count: int) -> None:
        for block in list(self._cached)[:count]:
            del self._cached[block]
            del self._block_of[self._hash_of.pop(block)]
            self._set_free(block)

    def _set_free(self, block: int) -> None:
        self._free_map[block] = 1
        self._free_count += 1

    def _behind(self, block: int, count: int) -> list[int]:
        end = block + 1
        while end < self.total and end - block <= count and self._free_map[end]:
            end += 1
        return self._take(block + 1, end - block - 1)

    def _run(self, count: int, room: int) -> list[int]:
        for size in (count + room, count):
            start = self._find(size)
            if start >= 0:
                # The next run begins behind this one's room, which stays free for its growth.
                self._cursor = start + size
                return self._take(start, count)
        size = count
        while (start := self._find(size)) < 0:
            size = max(1, size // 2)
        return self._take(start, size)

    def _find(self, size: int) -> int:
        start = self._free_map.find(_FREE * size, self._cursor)
        return start if start >= 0 else self._free_map.find(_FREE * size)

    def _take(self, start: int, count: int) -> list[int]:
        blocks = list(range(start, start + count))
        for block in blocks:
            self._free_map[block] = 0
            self._references[block] = 1
        self._free_count -= count
        return blocks
