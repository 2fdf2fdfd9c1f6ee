"""Attention of a step's rows over a cache that lies in blocks.

Knows blocks, slots and masks; nothing of weights or sampling. A step's tokens
are one flat list, cut into segments:

* decode: rows that compute one token each, grouped by length, one call a layer;
* prefill: one row that computes several tokens, one call a layer.

A token sees all before it and itself, or a window of the last of them (Beltagy
et al., "Longformer", 2020): blocks that no token of a segment sees are not read.

A segment reads its keys and values through a span: a plain view when its
blocks lie side by side (nothing is copied), otherwise blocks gathered into one
tensor. Keys have fewer heads than queries (grouped-query attention); a group's
queries are handed over as if they were neighbouring tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from sidecar.executors.base import BLOCK_SIZE

TILE_QUERIES = 64
LONG_RUN_TOKENS = 1024
"""A decode row of so many adjacent tokens is read in place by its own call; gathering costs more."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What tokens see of one sequence: positions `begin` to `end`, counted from the first of `table`."""

    table: Sequence[int]
    begin: int
    end: int

    @property
    def is_run(self) -> bool:
        """Whether its blocks lie side by side in ascending order."""
        table = self.table
        return table[-1] - table[0] == len(table) - 1 and all(
            block == table[0] + offset for offset, block in enumerate(table)
        )


def reach_of(table: Sequence[int], start: int, end: int, window: int | None) -> Reach:
    """What the tokens at positions `start` to `end` see together, each `window` positions or all.

    `table` has the blocks of the whole sequence, and may have more.
    """
    begin = 0 if window is None else max(0, start + 1 - window)
    unseen = begin // BLOCK_SIZE
    skipped = unseen * BLOCK_SIZE
    return Reach(table[unseen : -(-end // BLOCK_SIZE)], begin - skipped, end - skipped)


class Span(Protocol):
    """What a segment reads of the cache, the same in every layer."""

    def read(self, layer: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [rows, key heads, length, head_dim] of [2 * key heads, blocks, 16, head_dim]."""


class RunSpan:
    """One row whose blocks are adjacent."""

    __slots__ = ("begin", "end")

    def __init__(self, first_block: int, begin: int, end: int) -> None:
        """Positions `begin` to `end`, counted from the first block."""
        self.begin = first_block * BLOCK_SIZE + begin
        self.end = first_block * BLOCK_SIZE + end

    def read(self, layer: Tensor) -> tuple[Tensor, Tensor]:
        """See Span."""
        run = layer.flatten(1, 2)[None, :, self.begin : self.end]
        keys, values = run.chunk(2, dim=1)
        return keys, values


class GatheredSpan:
    """Rows whose blocks lie anywhere, all padded to the longest."""

    __slots__ = ("gathered", "indices", "rows")

    def __init__(self, tables: Sequence[Sequence[int]], layer: Tensor) -> None:
        heads, blocks = layer.shape[:2]
        length = max(map(len, tables))
        # A row's own block serves as padding: what it holds is finite whatever other rows computed.
        padded = torch.tensor([[*table, *[table[0]] * (length - len(table))] for table in tables])
        first = torch.arange(heads) * blocks
        self.rows = len(tables)
        self.indices = (first[:, None] + padded.flatten()).flatten().to(layer.device)
        self.gathered = layer.new_empty((len(self.indices), layer[0, 0].numel()))

    def read(self, layer: Tensor) -> tuple[Tensor, Tensor]:
        """See Span. The next call overwrites what this one gave."""
        heads, _, _, head_dim = layer.shape
        torch.index_select(layer.flatten(2).flatten(0, 1), 0, self.indices, out=self.gathered)
        blocks = self.gathered.view(heads, self.rows, -1, head_dim).transpose(0, 1)
        keys, values = blocks.chunk(2, dim=1)
        return keys, values


class DecodeSegment:
    """Rows of one token each, which is the last that it sees."""

    __slots__ = ("mask", "span")

    def __init__(self, reaches: Sequence[Reach], layer: Tensor) -> None:
        self.span: Span
        self.mask: Tensor | None = None
        if len(reaches) == 1 and reaches[0].is_run:
            [reach] = reaches
            self.span = RunSpan(reach.table[0], reach.begin, reach.end)
            return
        tables = [reach.table for reach in reaches]
        self.span = GatheredSpan(tables, layer)
        positions = torch.arange(max(map(len, tables)) * BLOCK_SIZE)
        bounds = torch.tensor([(reach.begin, reach.end) for reach in reaches])
        visible = (positions >= bounds[:, :1]) & (positions < bounds[:, 1:])
        self.mask = additive_mask(visible, layer)[:, None, None]

    def attend(self, queries: Tensor, layer: Tensor) -> Tensor:
        """`queries` [rows, heads, head_dim] to [rows, heads * head_dim]."""
        keys, values = self.span.read(layer)
        rows, _, head_dim = queries.shape
        grouped = queries.view(rows, keys.shape[1], -1, head_dim)
        return functional.scaled_dot_product_attention(grouped, keys, values, attn_mask=self.mask).flatten(1)


class PrefillSegment:
    """One row that computes the last `count` tokens that it sees, each seeing `window` positions or all."""

    __slots__ = ("mask", "span", "start", "window")

    def __init__(self, reach: Reach, count: int, layer: Tensor, window: int | None) -> None:
        self.start = reach.end - count
        self.window = reach.end if window is None else window
        self.span: Span = (
            RunSpan(reach.table[0], 0, reach.end) if reach.is_run else GatheredSpan([reach.table], layer)
        )
        distances = torch.arange(self.start, reach.end)[:, None] - torch.arange(reach.end)
        self.mask = additive_mask((distances >= 0) & (distances < self.window), layer)

    def attend(self, queries: Tensor, layer: Tensor) -> Tensor:
        """`queries` [tokens, heads, head_dim] to [tokens, heads * head_dim].

        A few queries at a time read only what they see together.
        """
        keys, values = self.span.read(layer)
        attended = []
        for begin in range(0, queries.shape[0], TILE_QUERIES):
            tile = queries[begin : begin + TILE_QUERIES]
            end = begin + tile.shape[0]
            seen = slice(max(0, self.start + begin + 1 - self.window), self.start + end)
            output = functional.scaled_dot_product_attention(
                tile.transpose(0, 1)[None],
                keys[:, :, seen],
                values[:, :, seen],
                attn_mask=self.mask[begin:end, seen],
                enable_gqa=True,
            )
            attended.append(output[0].transpose(0, 1).flatten(1))
        return attended[0] if len(attended) == 1 else torch.cat(attended)


Segment = DecodeSegment | PrefillSegment


def additive_mask(visible: Tensor, layer: Tensor) -> Tensor:
    """0 where `visible`, minus infinity elsewhere, in the cache's type and on its device."""
    mask = torch.zeros(visible.shape, dtype=layer.dtype)
    return mask.masked_fill_(~visible, float("-inf")).to(layer.device)


def group_by_length(lengths: Sequence[int], runs: Sequence[bool]) -> list[list[int]]:
    """Cut rows, given in ascending order of length, into groups that share one call.

    A group is padded to its longest row, so it holds lengths of one bucket
    (256, 384, 512, 768, 1024, … tokens): a third of the work is wasted at most.
    Long runs stand alone.
    """
    groups: list[list[int]] = []
    last_bucket = -1
    for row, length in enumerate(lengths):
        alone = runs[row] and length >= LONG_RUN_TOKENS
        bucket = -1 if alone else _bucket(length)
        if alone or bucket != last_bucket:
            groups.append([])
        groups[-1].append(row)
        last_bucket = bucket
    return groups


def _bucket(length: int) -> int:
    bound = 16 * BLOCK_SIZE
    while bound < length:
        if bound * 3 // 2 >= length:
            return bound * 3 // 2
        bound *= 2
    return bound
