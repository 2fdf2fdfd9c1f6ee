"""Weights as int8 with one scale for each row of the matrix; activations as 16-bit integers.

One activation scale per token in 8 bits would ruin a model whose activations
have outliers. 16 bits do not: a token's activations become integers of 16 bits,
cut into a high and a low half of 8 bits each,

    q = 254 * high + low,    high and low in [-127, 127],

and one int8 x int8 -> int32 product does for both halves. Its sums are exact, so
that a token's result does not depend on what else is in the batch, and a CPU
with VNNI computes it faster than one half of the work in bfloat16.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from sidecar.executors.torch.devices import has_fast_bfloat16, has_fast_integer_matmul
from sidecar.executors.torch.linear.base import Table, TensorSpec, Workspace, float_rows
from sidecar.executors.torch.linear.dense import low_precision_linear
from sidecar.models.source import StoredTensor

WEIGHT_LEVELS = 127
HALF_LEVELS = 127
HALF_BASE = 254
"""The low half covers the rounding error of the high one, half a unit either way, 127 levels each."""

TILE_TOKENS = 128
"""Tokens multiplied at a time, so that what passes between operations stays in the CPU's cache."""


class Int8Format:
    """int8 weights and a float32 scale a row."""

    def tensors(self, rows: int, columns: int) -> Mapping[str, TensorSpec]:
        """See WeightFormat."""
        return {
            "weight": TensorSpec(torch.int8, (rows, columns)),
            "scale": TensorSpec(torch.float32, (rows,)),
        }

    def fill(self, target: Mapping[str, Tensor], row: int, stored: StoredTensor, rotary_heads: int) -> None:
        """See WeightFormat."""
        for begin, chunk in float_rows(stored, rotary_heads):
            rows = slice(row + begin, row + begin + len(chunk))
            scale = chunk.abs().amax(dim=-1, keepdim=True).div_(WEIGHT_LEVELS)
            scale.clamp_(min=torch.finfo(torch.float32).tiny)
            target["weight"][rows] = chunk.div(scale).round_().to(torch.int8)
            target["scale"][rows] = scale[:, 0]

    def load(self, tensors: Mapping[str, Tensor], bias: Tensor | None, workspace: Workspace) -> Table:
        """See WeightFormat."""
        device = workspace.device
        weight, scale = tensors["weight"].to(device), tensors["scale"].to(device)
        if has_fast_integer_matmul(device):
            return IntegerLinear(weight, scale, bias)
        dtype = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
        return DequantizingLinear(weight, scale, bias, dtype)


class Int8Matrix:
    """What both ways to multiply share."""

    __slots__ = ("bias", "scale", "weight")

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        self.weight = weight
        self.scale = scale
        self.bias = bias

    def lookup(self, token_ids: Tensor) -> Tensor:
        """See Table."""
        rows = self.weight.index_select(0, token_ids).to(torch.float32)
        return rows.mul_(self.scale.index_select(0, token_ids)[:, None])


class IntegerLinear(Int8Matrix):
    """Multiplies in integers; for CPUs with VNNI."""

    __slots__ = ()

    def __call__(self, inputs: Tensor) -> Tensor:
        """See Linear."""
        outputs = torch.empty((inputs.shape[0], self.weight.shape[0]), dtype=torch.float32)
        for begin in range(0, inputs.shape[0], TILE_TOKENS):
            halves, step = split_activations(inputs[begin : begin + TILE_TOKENS])
            products = torch._int_mm(halves, self.weight.t()).to(torch.float32)
            high, low = products.chunk(2)
            low.add_(high, alpha=HALF_BASE).mul_(step)
            torch.mul(low, self.scale, out=outputs[begin : begin + TILE_TOKENS])
        return outputs if self.bias is None else outputs.add_(self.bias)


class DequantizingLinear(Int8Matrix):
    """Turns the weights into floats for each product; for every other device."""

    __slots__ = ("dtype",)

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        super().__init__(weight, scale, bias)
        self.dtype = dtype

    def __call__(self, inputs: Tensor) -> Tensor:
        """See Linear."""
        weight = self.weight.to(self.dtype)
        multiply = functional.linear if self.dtype == torch.float32 else low_precision_linear
        outputs = multiply(inputs.to(self.dtype), weight).to(torch.float32).mul_(self.scale)
        return outputs if self.bias is None else outputs.add_(self.bias)


def split_activations(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Floats [tokens, columns] as int8 [2 * tokens, columns], high halves first, and scales [tokens, 1].

    inputs ≈ scale * (254 * high + low), with an error below max|inputs| / 64,000.
    """
    inputs = inputs.to(torch.float32)
    step = inputs.abs().amax(dim=-1, keepdim=True).mul_(1 / HALF_LEVELS)
    step.clamp_(min=torch.finfo(torch.float32).tiny)
    fine = inputs / step
    high = fine.round()
    low = fine.sub_(high).mul_(HALF_BASE).round_()
    return torch.cat((high, low)).to(torch.int8), step.mul_(1 / HALF_BASE)
