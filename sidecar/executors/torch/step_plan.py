"""From the rows of a step to tensors: which tokens, at which positions and slots, attending to what."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sidecar.executors.base import BLOCK_SIZE, ExecutionBatch, ExecutionRow
from sidecar.executors.torch.cache_engine import CacheEngine
from sidecar.executors.torch.paged_attention import (
    DecodeSegment,
    PrefillSegment,
    Segment,
    group_by_length,
    reach_of,
)


@dataclass(slots=True)
class PlannedRow:
    """A row of the batch with its place in the step's flat token list."""

    index: int
    row: ExecutionRow
    begin: int

    @property
    def end(self) -> int:
        """One past its last token."""
        return self.begin + len(self.row.token_ids)


@dataclass(slots=True)
class StepPlan:
    """One step, ready to compute. Tokens are ordered decode rows by length, then prefill rows.

    `token_ids`, `positions` and `slots` are int64 [tokens]; `segments` cover
    the tokens in order, `bounds` says where each begins and ends.
    """

    rows: list[PlannedRow]
    token_ids: Tensor
    positions: Tensor
    slots: Tensor
    segments: list[Segment]
    bounds: list[tuple[int, int]]
    sampled: Tensor

    def attend(self, queries: Tensor, layer: Tensor) -> Tensor:
        """Attention of all tokens in one layer: [tokens, heads, head_dim] to [tokens, heads * head_dim]."""
        if len(self.segments) == 1:
            return self.segments[0].attend(queries, layer)
        return torch.cat(
            [
                segment.attend(queries[begin:end], layer)
                for segment, (begin, end) in zip(self.segments, self.bounds, strict=True)
            ]
        )

    def is_cancelled(self) -> bool:
        """Whether nobody waits for any row any more."""
        return all(planned.row.cancel[0] for planned in self.rows)


def plan_step(batch: ExecutionBatch, cache: CacheEngine, window: int | None) -> StepPlan:
    """Lay out a batch of at least one row, for tokens that see `window` positions each, or all."""
    layer, device = cache.layers[0], cache.tensor.device
    decode = [index for index, row in enumerate(batch.rows) if len(row.token_ids) == 1]
    prefill = [index for index, row in enumerate(batch.rows) if len(row.token_ids) > 1]
    decode.sort(key=lambda index: batch.rows[index].start)
    rows: list[PlannedRow] = []
    token_ids: list[int] = []
    positions: list[int] = []
    slots: list[int] = []
    sampled: list[int] = []
    for index in (*decode, *prefill):
        row = batch.rows[index]
        planned = PlannedRow(index, row, len(token_ids))
        rows.append(planned)
        token_ids.extend(row.token_ids)
        positions.extend(range(row.start, row.start + len(row.token_ids)))
        slots.extend(_slots(row))
        sampled.extend(range(planned.end - row.samples, planned.end))
    segments, bounds = _decode_segments([batch.rows[index] for index in decode], layer, window)
    for planned in rows[len(decode) :]:
        row, count = planned.row, len(planned.row.token_ids)
        reach = reach_of(row.block_table, row.start, row.start + count, window)
        segments.append(PrefillSegment(reach, count, layer, window))
        bounds.append((planned.begin, planned.end))
    numbers = torch.tensor([token_ids, positions, slots]).to(device)
    return StepPlan(
        rows,
        numbers[0],
        numbers[1],
        numbers[2],
        segments,
        bounds,
        torch.tensor(sampled, dtype=torch.int64, device=device),
    )


def _decode_segments(
    rows: Sequence[ExecutionRow], layer: Tensor, window: int | None
) -> tuple[list[Segment], list[tuple[int, int]]]:
    reaches = [reach_of(row.block_table, row.start, row.start + 1, window) for row in rows]
    lengths = [row.start + 1 if window is None else min(row.start + 1, window) for row in rows]
    segments: list[Segment] = []
    bounds = []
    for group in group_by_length(lengths, [reach.is_run for reach in reaches]):
        begin, end = group[0], group[-1] + 1
        segments.append(DecodeSegment(reaches[begin:end], layer))
        bounds.append((begin, end))
    return segments, bounds


def _slots(row: ExecutionRow) -> list[int]:
    return [
        row.block_table[position // BLOCK_SIZE] * BLOCK_SIZE + position % BLOCK_SIZE
        for position in range(row.start, row.start + len(row.token_ids))
    ]
