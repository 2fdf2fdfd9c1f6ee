"""4-bit weights of a GGUF file as they are: nothing is rounded anew but the scales, to bfloat16.

A weight is scale * (code - 8) + zero, with a code of 4 bits and one scale and
zero for each 32 weights of a row. That is exactly how Q4_0, Q4_1 and Q4_K say
it, so only their packing changes. Other weights never come here.

Few tokens go through torch's 4-bit kernel for CPUs. For many it is cheaper to
make bfloat16 weights once and multiply those.

Codes are stored in the kernel's order for AVX-512: blocks of 64 rows,
[rows / 64, columns, 32 bytes], byte i holding row i in its low and row i + 32 in
its high half. Where the kernel wants another order they are repacked at load.
"""

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from sidecar.executors.torch.dequantize import half, k_nibbles, k_scales, nibbles
from sidecar.executors.torch.linear.base import CHUNK_ELEMENTS, Linear, TensorSpec, Workspace, rotary_order
from sidecar.executors.torch.views import tensor_view
from sidecar.models.config import DType
from sidecar.models.source import StoredTensor

GROUP = 32
BLOCK_ROWS = 64
FORMATS = (DType.Q4_0, DType.Q4_1, DType.Q4_K)
KERNEL_TOKENS = 128
"""Up to so many tokens the 4-bit kernel is the faster way."""
PADDED_TOKENS = 64
"""Otherwise their number is rounded up to a multiple of this (see `dense.ROWS_PADDED_FROM`)."""
_LOW_HALVES = 0x0F0F0F0F0F0F0F0F


class Int4Format:
    """Codes of 4 bits, and a bfloat16 pair (scale, zero) for each group."""

    def tensors(self, rows: int, columns: int) -> Mapping[str, TensorSpec]:
        """See WeightFormat."""
        return {
            "weight": TensorSpec(torch.int8, (rows // BLOCK_ROWS, columns, BLOCK_ROWS // 2)),
            "scale_zero": TensorSpec(torch.bfloat16, (columns // GROUP, rows, 2)),
        }

    def fill(self, target: Mapping[str, Tensor], row: int, stored: StoredTensor, rotary_heads: int) -> None:
        """See WeightFormat."""
        rows, columns = stored.shape
        order = rotary_order(rows, rotary_heads) if rotary_heads else torch.arange(rows)
        codes, scales, zeros = _read(stored)
        scale_zero = torch.stack((scales[order], zeros[order]), dim=-1)
        target["scale_zero"][:, row : row + rows] = scale_zero.transpose(0, 1)
        step = max(1, CHUNK_ELEMENTS // (columns * BLOCK_ROWS)) * BLOCK_ROWS
        for begin in range(0, rows, step):
            chunk = codes[order[begin : begin + step]]
            block = (row + begin) // BLOCK_ROWS
            target["weight"][block : block + len(chunk) // BLOCK_ROWS] = pack(chunk).view(torch.int8)

    def load(self, tensors: Mapping[str, Tensor], bias: Tensor | None, workspace: Workspace) -> Linear:
        """See WeightFormat."""
        weight = tensors["weight"].to(workspace.device).view(torch.uint8)
        return Int4Linear(weight, tensors["scale_zero"].to(workspace.device), bias, workspace)


class Int4Linear:
    """A matrix of 4-bit weights."""

    __slots__ = ("bias", "kernel_weight", "rows", "scale_zero", "weight", "workspace")

    def __init__(self, weight: Tensor, scale_zero: Tensor, bias: Tensor | None, workspace: Workspace) -> None:
        self.weight = weight
        self.scale_zero = scale_zero
        self.bias = None if bias is None else bias.to(torch.bfloat16)
        self.workspace = workspace
        self.rows = scale_zero.shape[1]
        self.kernel_weight = _kernel_weight(weight) if weight.device.type == "cpu" else None

    def __call__(self, inputs: Tensor) -> Tensor:
        """See Linear."""
        tokens = inputs.shape[0]
        rounded = inputs.to(torch.bfloat16)
        outputs: Tensor
        if self.kernel_weight is not None and tokens <= KERNEL_TOKENS:
            outputs = torch.ops.aten._weight_int4pack_mm_for_cpu(
                rounded, self.kernel_weight, GROUP, self.scale_zero
            )
        else:
            padded = functional.pad(rounded, (0, 0, 0, -tokens % PADDED_TOKENS))
            outputs = torch.mm(padded, self.transposed())[:tokens]
        return outputs if self.bias is None else outputs.add_(self.bias)

    def transposed(self) -> Tensor:
        """The weights as bfloat16 [columns, rows], in the workspace."""
        blocks, columns, _ = self.weight.shape
        codes = self.workspace.take(torch.int8, (columns, blocks, BLOCK_ROWS))
        # Sixteen codes at a time: a byte at a time these short runs would take several times longer.
        packed, unpacked = self.weight.view(torch.int64).transpose(0, 1), codes.view(torch.int64)
        torch.bitwise_and(packed, _LOW_HALVES, out=unpacked[..., : BLOCK_ROWS // 16])
        torch.bitwise_and(packed >> 4, _LOW_HALVES, out=unpacked[..., BLOCK_ROWS // 16 :])
        weights = self.workspace.take(torch.bfloat16, (columns // GROUP, GROUP, self.rows))
        weights.copy_(codes.sub_(8).view(weights.shape))
        # One after the other in memory, or the product below would run number by number.
        scale, zero = self.scale_zero.permute(2, 0, 1).contiguous()[:, :, None]
        return torch.addcmul(zero, weights, scale, out=weights).view(columns, self.rows)


def is_exact(stored: StoredTensor) -> bool:
    """Whether a stored matrix consists of such weights already."""
    return stored.dtype in FORMATS and stored.shape[0] % BLOCK_ROWS == 0


def pack(codes: Tensor) -> Tensor:
    """uint8 codes [rows, columns] as [rows / 64, columns, 32]."""
    blocks = codes.view(-1, BLOCK_ROWS, codes.shape[1]).transpose(1, 2)
    return blocks[..., : BLOCK_ROWS // 2] | (blocks[..., BLOCK_ROWS // 2 :] << 4)


def unpack(weight: Tensor) -> Tensor:
    """The inverse of `pack`."""
    return nibbles(weight).transpose(1, 2).reshape(-1, weight.shape[1])


def _read(stored: StoredTensor) -> tuple[Tensor, Tensor, Tensor]:
    """Codes uint8 [rows, columns], scales and zeros float32 [rows, columns / 32] of a 4-bit matrix."""
    rows, columns = stored.shape
    blocks = tensor_view(stored.data, torch.uint8, (-1, stored.dtype.block_bytes))
    if stored.dtype is DType.Q4_K:
        codes = k_nibbles(blocks[:, 16:].contiguous())
        group_scales, group_minimums = k_scales(blocks[:, 4:16])
        scales = group_scales.to(torch.float32) * half(blocks, 0)
        zeros = scales * 8 - group_minimums.to(torch.float32) * half(blocks, 2)
    elif stored.dtype is DType.Q4_1:
        codes, scales = nibbles(blocks[:, 4:]), half(blocks, 0)
        zeros = scales * 8 + half(blocks, 2)
    else:
        codes, scales = nibbles(blocks[:, 2:]), half(blocks, 0)
        zeros = torch.zeros_like(scales)
    groups = columns // GROUP
    return codes.view(rows, columns), scales.view(rows, groups), zeros.view(rows, groups)


def _kernel_weight(weight: Tensor) -> Tensor:
    blocks, columns, _ = weight.shape
    if _is_kernel_order():
        return weight.view(blocks * BLOCK_ROWS, columns // 2)
    return _repack(unpack(weight))


def _repack(codes: Tensor) -> Tensor:
    packed: Tensor = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.to(torch.int32), 1)
    return packed


@cache
def _is_kernel_order() -> bool:
    """Whether this CPU's kernel takes the stored order, found out by packing a small matrix."""
    codes = torch.arange(BLOCK_ROWS * GROUP).remainder(15).to(torch.uint8).view(BLOCK_ROWS, GROUP)
    return torch.equal(_repack(codes).flatten(), pack(codes).flatten())
