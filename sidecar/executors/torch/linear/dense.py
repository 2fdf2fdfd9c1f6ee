"""Weights as plain floating-point numbers: float32 or bfloat16."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from sidecar.executors.torch.linear.base import Table, TensorSpec, Workspace, float_rows
from sidecar.models.source import StoredTensor

ROWS_PADDED_FROM = 16
"""oneDNN builds and keeps a kernel for every number of input rows; padding leaves it a few."""


class DenseFormat:
    """Float weights, row-major."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def tensors(self, rows: int, columns: int) -> Mapping[str, TensorSpec]:
        """See WeightFormat."""
        return {"weight": TensorSpec(self.dtype, (rows, columns))}

    def fill(self, target: Mapping[str, Tensor], row: int, stored: StoredTensor, rotary_heads: int) -> None:
        """See WeightFormat."""
        weight = target["weight"]
        for begin, chunk in float_rows(stored, rotary_heads):
            weight[row + begin : row + begin + len(chunk)] = chunk

    def load(self, tensors: Mapping[str, Tensor], bias: Tensor | None, workspace: Workspace) -> Table:
        """See WeightFormat."""
        return DenseLinear(
            tensors["weight"].to(workspace.device), None if bias is None else bias.to(self.dtype)
        )


class DenseLinear:
    """A float32 or bfloat16 matrix."""

    __slots__ = ("bias", "weight")

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = weight
        self.bias = bias

    def __call__(self, inputs: Tensor) -> Tensor:
        """See Linear."""
        inputs = inputs.to(self.weight.dtype)
        if self.weight.dtype == torch.float32:
            return functional.linear(inputs, self.weight, self.bias)
        return low_precision_linear(inputs, self.weight, self.bias)

    def lookup(self, token_ids: Tensor) -> Tensor:
        """See Table."""
        return self.weight.index_select(0, token_ids).to(torch.float32)


def low_precision_linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`functional.linear` whose number of input rows is rounded up to one of few on a CPU."""
    tokens = inputs.shape[0]
    if tokens <= ROWS_PADDED_FROM or inputs.device.type != "cpu":
        return functional.linear(inputs, weight, bias)
    step = ROWS_PADDED_FROM if tokens <= 4 * ROWS_PADDED_FROM else 4 * ROWS_PADDED_FROM
    padding = -tokens % step
    if not padding:
        return functional.linear(inputs, weight, bias)
    return functional.linear(functional.pad(inputs, (0, 0, 0, padding)), weight, bias)[:tokens]
