"""Attention over scattered blocks against softmax written out over one sequence."""

import random as randomness
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sidecar.executors.base import BLOCK_SIZE
from sidecar.executors.torch import paged_attention
from sidecar.executors.torch.paged_attention import (
    DecodeSegment,
    PrefillSegment,
    Reach,
    group_by_length,
    reach_of,
)

HEADS, KEY_HEADS, HEAD_DIM, BLOCKS = 6, 2, 16, 64


def cache_layer() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2 * KEY_HEADS, BLOCKS, BLOCK_SIZE, HEAD_DIM, generator=generator)


def queries(count: int) -> torch.Tensor:
    return torch.randn(count, HEADS, HEAD_DIM, generator=torch.Generator().manual_seed(1))


def expected(
    query: torch.Tensor, layer: torch.Tensor, table: Sequence[int], length: int, window: int | None = None
) -> torch.Tensor:
    """Attention of one query [heads, head_dim] over the last `window` of a sequence's first positions."""
    sequence = layer[:, list(table)].flatten(1, 2)[:, :length][:, -(window or length) :]
    keys, values = sequence.repeat_interleave(HEADS // KEY_HEADS, dim=0).chunk(2)
    scores = torch.einsum("hd,hld->hl", query, keys) * HEAD_DIM**-0.5
    return torch.einsum("hl,hld->hd", scores.softmax(dim=-1), values).flatten()


def scattered(count: int, seed: int) -> list[int]:
    return randomness.Random(seed).sample(range(BLOCKS), count)


@pytest.mark.parametrize("window", [None, 1, 16, 33])
@pytest.mark.parametrize(
    ("tables", "lengths"),
    [
        ([[4, 5, 6]], [41]),
        ([[9]], [1]),
        ([scattered(3, 1)], [40]),
        ([scattered(1, 2), scattered(5, 3), scattered(4, 4)], [3, 80, 49]),
    ],
    ids=["run", "one_token", "scattered", "several"],
)
def test_decode(tables: list[list[int]], lengths: list[int], window: int | None) -> None:
    layer, asked = cache_layer(), queries(len(tables))
    reaches = [
        reach_of(table, length - 1, length, window) for table, length in zip(tables, lengths, strict=True)
    ]
    found = DecodeSegment(reaches, layer).attend(asked, layer)
    for row, (table, length) in enumerate(zip(tables, lengths, strict=True)):
        torch.testing.assert_close(found[row], expected(asked[row], layer, table, length, window))


@pytest.mark.parametrize("window", [None, 1, 20, 64, 100])
@pytest.mark.parametrize("table", [list(range(7, 27)), scattered(20, 5)], ids=["run", "scattered"])
@pytest.mark.parametrize(("start", "count"), [(0, 2), (0, 200), (37, 5), (100, 210), (16, 64)])
def test_prefill(table: list[int], start: int, count: int, window: int | None) -> None:
    layer, asked = cache_layer(), queries(count)
    reach = reach_of(table, start, start + count, window)
    found = PrefillSegment(reach, count, layer, window).attend(asked, layer)
    for token in (0, count // 2, count - 1):
        length = start + token + 1
        torch.testing.assert_close(found[token], expected(asked[token], layer, table, length, window))


def test_blocks_that_no_token_sees_are_left_out() -> None:
    table = list(range(10))
    assert reach_of(table, 40, 41, None) == Reach([0, 1, 2], 0, 41)
    assert reach_of(table, 40, 41, 9) == Reach([2], 0, 9)
    assert reach_of(table, 40, 41, 10) == Reach([1, 2], 15, 25)
    assert reach_of(table, 40, 100, 10) == Reach([1, 2, 3, 4, 5, 6], 15, 84)


def test_what_is_outside_of_the_window_is_never_read() -> None:
    layer, asked = cache_layer(), queries(1)
    layer[:, :3] = torch.nan
    reach = reach_of(list(range(6)), 70, 71, 20)
    assert bool(DecodeSegment([reach], layer).attend(asked, layer).isfinite().all())


def test_rows_of_a_group_never_see_blocks_of_others() -> None:
    """A short row is padded with a block of its own, so that not even a NaN elsewhere can reach it."""
    layer, asked = cache_layer(), queries(2)
    layer[:, 30:40] = torch.nan
    reaches = [Reach([3], 0, 10), Reach(list(range(30, 36)), 0, 90)]
    found = DecodeSegment(reaches, layer).attend(asked, layer)
    torch.testing.assert_close(found[0], expected(asked[0], layer, [3], 10))


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_groups_cover_all_rows_and_waste_little(lengths: list[int], choose: randomness.Random) -> None:
    lengths.sort()
    runs = [choose.random() < 0.5 for _ in lengths]
    groups = group_by_length(lengths, runs)
    assert [row for group in groups for row in group] == list(range(len(lengths)))
    for group in groups:
        longest = lengths[group[-1]]
        if len(group) > 1:
            assert longest <= max(256, 1.51 * lengths[group[0]])
            assert not any(runs[row] and lengths[row] >= paged_attention.LONG_RUN_TOKENS for row in group)


def test_equal_lengths_share_a_call_but_long_runs_stand_alone() -> None:
    assert group_by_length([5, 100, 256], [True] * 3) == [[0, 1, 2]]
    assert group_by_length([2000, 2000, 2000], [False] * 3) == [[0, 1, 2]]
    assert group_by_length([2000, 2000, 2000], [True, False, False]) == [[0], [1, 2]]


@pytest.mark.parametrize(
    ("table", "answer"), [([3], True), ([3, 4, 5], True), ([3, 5, 4, 6], False), ([5, 4], False)]
)
def test_a_run_is_adjacent_and_ascending(table: list[int], answer: bool) -> None:
    assert Reach(table, 0, 1).is_run is answer
