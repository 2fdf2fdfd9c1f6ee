"""Loaded torch executors, and rows for them."""

from collections.abc import Sequence
from pathlib import Path

import torch

from sidecar.executors.base import (
    BLOCK_SIZE,
    ConvertedModel,
    ExecutionBatch,
    ExecutionRow,
    RowResult,
    SamplingParameters,
)
from sidecar.executors.torch.executor import TorchExecutor
from sidecar.executors.torch.kind import TorchExecutorKind
from sidecar.models.source import ModelSource

GREEDY = SamplingParameters(temperature=0.0)


def load_executor(source: ModelSource, quantization: str, folder: Path, *, blocks: int = 64) -> TorchExecutor:
    """A model on the CPU with a cache, converted into `folder` if it must be."""
    kind = TorchExecutorKind()
    converted: Path | None = None
    if kind.needs_conversion(source, quantization):
        converted = folder / quantization
        if not converted.exists():
            converted.mkdir(parents=True)
            kind.convert(source, quantization, converted, lambda fraction, stage: None)
    executor = TorchExecutor("cpu", 2)
    executor.load(ConvertedModel(source, quantization, converted), lambda fraction, stage: None)
    executor.allocate_cache(blocks)
    return executor


def row(
    token_ids: Sequence[int],
    *,
    start: int = 0,
    blocks: Sequence[int] | None = None,
    samples: int = 1,
    sampling: SamplingParameters | None = GREEDY,
) -> ExecutionRow:
    """A row; its blocks are the first ones unless they are given."""
    count = -(-(start + len(token_ids)) // BLOCK_SIZE)
    return ExecutionRow(
        token_ids=list(token_ids),
        start=start,
        block_table=list(range(count)) if blocks is None else list(blocks)[:count],
        samples=samples,
        sampling=sampling,
    )


@torch.inference_mode()
def logits_of(executor: TorchExecutor, *rows: ExecutionRow) -> torch.Tensor:
    """Raw logits of the rows' sampled positions, in order."""
    return executor.runner.logits(ExecutionBatch(rows))


def step(executor: TorchExecutor, *rows: ExecutionRow) -> list[RowResult]:
    """One step's results."""
    return list(executor.execute(ExecutionBatch(rows)).rows)


def greedy_tokens(
    executor: TorchExecutor, prompt: Sequence[int], count: int, blocks: Sequence[int] | None = None
) -> list[int]:
    """Continue a prompt greedily, one token a step."""
    [result] = step(executor, row(prompt, blocks=blocks))
    tokens = [*result.token_ids]
    while len(tokens) < count:
        [result] = step(executor, row(tokens[-1:], start=len(prompt) + len(tokens) - 1, blocks=blocks))
        tokens.extend(result.token_ids)
    return tokens
