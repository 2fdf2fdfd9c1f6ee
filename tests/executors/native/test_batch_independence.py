"""Bitwise the same: alone, in any batch, in any chunks, with any threads, from moved or shared blocks."""

import random
from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sidecar.executors.base import BLOCK_SIZE, ExecutionRow
from sidecar.executors.native.executor import NativeExecutor
from sidecar.models.config import DType
from tests.support.native_executor import USABLE_PATHS, load_native, native_logits
from tests.support.random_source import random_source, small_config
from tests.support.torch_executor import row

BLOCKS = 160
LENGTH = 600
"""Beyond two spans of attention."""
SOURCE = random_source(DType.Q4_K, small_config(vocab_size=97))
TOKENS = [(index * 7919) % 97 for index in range(LENGTH)]


@pytest.fixture(scope="module", params=USABLE_PATHS)
def executor(request: pytest.FixtureRequest) -> Iterator[NativeExecutor]:
    loaded = load_native(SOURCE, "q4_k", blocks=BLOCKS, kernel_path=request.param)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def alone(executor: NativeExecutor) -> Tensor:
    """Logits of every position, the sequence computed in one step."""
    return native_logits(executor, row(TOKENS, samples=LENGTH))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 300), min_size=1, max_size=12))
def test_in_chunks(executor: NativeExecutor, alone: Tensor, sizes: list[int]) -> None:
    parts = []
    start = 0
    while start < LENGTH:
        end = min(LENGTH, start + sizes[len(parts) % len(sizes)])
        parts.append(native_logits(executor, row(TOKENS[start:end], start=start, samples=end - start)))
        start = end
    assert torch.equal(torch.cat(parts), alone)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 250), st.integers(1, 40)), min_size=1, max_size=9), st.randoms())
def test_in_a_batch(
    executor: NativeExecutor, alone: Tensor, parts: list[tuple[int, int]], shuffle: random.Random
) -> None:
    """Rows that compute some tokens behind a prefix of their own, each in scattered blocks."""
    free = list(range(BLOCKS))
    shuffle.shuffle(free)
    rows: list[ExecutionRow] = []
    for start, count in parts:
        needed = -(-(start + count) // BLOCK_SIZE)
        if needed > len(free):
            break
        table, free = free[:needed], free[needed:]
        if start:
            native_logits(executor, row(TOKENS[:start], blocks=table))
        rows.append(row(TOKENS[start : start + count], start=start, blocks=table, samples=count))
    logits = native_logits(executor, *rows)
    expected = [alone[start : start + count] for start, count in parts[: len(rows)]]
    assert torch.equal(logits, torch.cat(expected))


@pytest.mark.parametrize("threads", [1, 3, 4])
def test_at_any_thread_count(alone: Tensor, executor: NativeExecutor, threads: int) -> None:
    other = load_native(SOURCE, "q4_k", blocks=BLOCKS, threads=threads, kernel_path=executor.kernel_path)
    whole = native_logits(other, row(TOKENS[:-1], samples=LENGTH - 1))
    last = native_logits(other, row(TOKENS[-1:], start=LENGTH - 1))
    other.close()
    assert torch.equal(torch.cat((whole, last)), alone)


def test_from_blocks_that_moved(executor: NativeExecutor, alone: Tensor) -> None:
    """Exported and imported elsewhere, copied, or shared by the tables of several rows."""
    prefix = 37 * BLOCK_SIZE
    table = list(range(38))
    native_logits(executor, row(TOKENS[:prefix], blocks=table))
    moved = list(range(150, 112, -1))
    executor.import_blocks(moved, executor.export_blocks(table))
    copied = list(range(60, 98))
    executor.copy_blocks(list(zip(table, copied, strict=True)))
    rest = [row(TOKENS[prefix:], start=prefix, blocks=blocks, samples=8) for blocks in (moved, copied)]
    shared = [_with_last_block(table, block) for block in (110, 111)]
    rest += [row(TOKENS[prefix:], start=prefix, blocks=blocks, samples=8) for blocks in shared]
    assert torch.equal(native_logits(executor, *rest), alone[prefix:].repeat(4, 1))


def test_a_window_forgets_the_same(executor: NativeExecutor) -> None:
    """A sliding window across spans: in one step, and token by token."""
    source = random_source(DType.Q8_0, small_config(vocab_size=97, sliding_window=150))
    windowed = load_native(source, "q8_0", kernel_path=executor.kernel_path)
    whole = native_logits(windowed, row(TOKENS[:500], samples=500))
    parts = [native_logits(windowed, row(TOKENS[:480], samples=480))]
    parts += [native_logits(windowed, row(TOKENS[at : at + 1], start=at)) for at in range(480, 500)]
    windowed.close()
    assert torch.equal(torch.cat(parts), whole)


def _with_last_block(table: Sequence[int], last: int) -> list[int]:
    return [*table[:-1], last]
