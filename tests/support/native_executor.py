"""Loaded native executors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sidecar.executors.base import ConvertedModel, ExecutionBatch, ExecutionRow, ExecutorOptions
from sidecar.executors.native.executor import NativeExecutor
from sidecar.executors.native.library import kernel_paths
from sidecar.models.source import ModelSource

USABLE_PATHS = [name for name, is_usable in kernel_paths() if is_usable]


def load_native(
    source: ModelSource,
    quantization: str,
    *,
    blocks: int = 64,
    threads: int = 2,
    kernel_path: str = "auto",
    cache_type: str = "auto",
) -> NativeExecutor:
    """A model with a cache."""
    executor = NativeExecutor(ExecutorOptions("cpu", threads, kernel_path, cache_type))
    executor.load(ConvertedModel(source, quantization), lambda fraction, stage: None)
    executor.allocate_cache(blocks)
    return executor


def native_logits(executor: NativeExecutor, *rows: ExecutionRow) -> Tensor:
    """Raw logits of the rows' sampled positions, float32 [positions, vocabulary]."""
    count = sum(row.samples for row in rows)
    return torch.tensor(executor.logits(ExecutionBatch(rows))).view(count, -1)


def teacher_forced(executor: NativeExecutor, make_row: "Sequence[ExecutionRow]") -> Tensor:
    """Logits of several steps, one row each, below each other."""
    return torch.cat([native_logits(executor, row) for row in make_row])
