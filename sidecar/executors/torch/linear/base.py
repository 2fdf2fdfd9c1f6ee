"""What a weight format has to say for itself, and how model files' rows reach it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sidecar.executors.torch.dequantize import dequantize_rows
from sidecar.models.source import StoredTensor

CHUNK_ELEMENTS = 8 * 2**20
"""Weights that are float32 at a time while a matrix is converted: 32 MiB."""


class Linear(Protocol):
    """A loaded matrix [rows, columns]."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """`inputs` [tokens, columns] times the transposed matrix: [tokens, rows].

        Floats of either precision go in; what comes out has the precision of
        the product: float32, or bfloat16 where the weights are that.
        """


class Table(Linear, Protocol):
    """A matrix with a row for each token of the vocabulary: an embedding, which may also be the head."""

    def lookup(self, token_ids: Tensor) -> Tensor:
        """The rows of int64 [tokens] as float32 [tokens, columns]."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Type and shape of one stored tensor."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def byte_count(self) -> int:
        """Bytes it takes."""
        return self.dtype.itemsize * math.prod(self.shape)


class WeightFormat(Protocol):
    """One way to store a matrix."""

    def tensors(self, rows: int, columns: int) -> Mapping[str, TensorSpec]:
        """The tensors that hold a matrix, by suffix."""

    def fill(self, target: Mapping[str, Tensor], row: int, stored: StoredTensor, rotary_heads: int) -> None:
        """Write a model file's matrix into `target` from its row `row` on (see `rotary_order`)."""

    def load(self, tensors: Mapping[str, Tensor], bias: Tensor | None, workspace: "Workspace") -> Linear:
        """The matrix ready to multiply on the workspace's device; `tensors` are used in place if possible."""


class TableFormat(WeightFormat, Protocol):
    """One that can store an embedding."""

    def load(self, tensors: Mapping[str, Tensor], bias: Tensor | None, workspace: "Workspace") -> Table:
        """See WeightFormat."""


class Workspace:
    """Memory that a model's matrices use in turn, so that none asks the system for it again and again."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._buffers: dict[torch.dtype, Tensor] = {}

    def take(self, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
        """An uninitialised tensor; the next one of the same type has the same memory."""
        size = math.prod(shape)
        buffer = self._buffers.get(dtype)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[dtype] = torch.empty(size, dtype=dtype, device=self.device)
        return buffer[:size].view(shape)


def float_rows(stored: StoredTensor, rotary_heads: int) -> Iterator[tuple[int, Tensor]]:
    """A stored matrix as float32 in chunks of rows: (first row, rows). Rows of q and k are put in order."""
    rows, columns = stored.shape
    unit = rows // rotary_heads if rotary_heads else 1
    step = max(1, CHUNK_ELEMENTS // (columns * unit)) * unit
    for begin in range(0, rows, step):
        end = min(rows, begin + step)
        chunk = dequantize_rows(stored, begin, end)
        if rotary_heads:
            chunk = chunk[rotary_order(end - begin, (end - begin) // unit)]
        yield begin, chunk


def rotary_order(rows: int, heads: int) -> Tensor:
    """For each row of q or k the row of a GGUF file that belongs there, int64 [rows].

    GGUF interleaves the two numbers that a rotation turns together; here, as in
    Hugging Face's files, the first half of a head holds all first numbers.
    """
    return torch.arange(rows).view(heads, -1, 2).transpose(1, 2).reshape(rows)


class StackedLinear:
    """Matrices one below the other, in different formats or from different files, that act as one."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Linear]) -> None:
        self.parts = parts

    def __call__(self, inputs: Tensor) -> Tensor:
        """See Linear."""
        return torch.cat([part(inputs) for part in self.parts], dim=-1)
