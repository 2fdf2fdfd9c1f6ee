"""GGUF block formats to float32, as ggml defines them (ggml-common.h, ggml-quants.c).

A block is a fixed number of neighbouring weights of one row with their scales.
Every function takes raw blocks, uint8 [blocks, bytes of a block], and returns
float32 [blocks, weights of a block].
"""

from collections.abc import Callable

import torch
from torch import Tensor

from sidecar.executors.torch.views import PLAIN_DTYPES, tensor_view
from sidecar.models.config import DType
from sidecar.models.source import StoredTensor


def dequantize_rows(stored: StoredTensor, begin: int, end: int) -> Tensor:
    """Rows `begin` to `end` of a matrix (or elements of a vector) of any stored type, as float32."""
    columns = stored.shape[-1] if len(stored.shape) > 1 else 1
    blocks_per_row = columns // stored.dtype.block_elements
    row_bytes = blocks_per_row * stored.dtype.block_bytes
    data = stored.data[begin * row_bytes : end * row_bytes]
    shape = (end - begin, columns) if len(stored.shape) > 1 else (end - begin,)
    if stored.dtype in PLAIN_DTYPES:
        return tensor_view(data, PLAIN_DTYPES[stored.dtype], shape).to(torch.float32)
    blocks = tensor_view(data, torch.uint8, (-1, stored.dtype.block_bytes))
    return _FORMATS[stored.dtype](blocks).view(shape)


def dequantize(stored: StoredTensor) -> Tensor:
    """A whole stored tensor as float32, in its own shape."""
    return dequantize_rows(stored, 0, stored.shape[0]).view(stored.shape)


def half(blocks: Tensor, offset: int) -> Tensor:
    """The float16 at byte `offset` of each block, float32 [blocks, 1]."""
    return blocks[:, offset : offset + 2].contiguous().view(torch.float16).to(torch.float32)


def nibbles(packed: Tensor) -> Tensor:
    """4-bit numbers along the last axis: first the low halves of all bytes, then the high ones."""
    return torch.cat((packed & 15, packed >> 4), dim=-1)


def _q4_0(blocks: Tensor) -> Tensor:
    return nibbles(blocks[:, 2:]).to(torch.float32).sub_(8).mul_(half(blocks, 0))


def _q4_1(blocks: Tensor) -> Tensor:
    return nibbles(blocks[:, 4:]).to(torch.float32).mul_(half(blocks, 0)).add_(half(blocks, 2))


def _fifth_bits(packed: Tensor) -> Tensor:
    """Bit i of each block's 32-bit word, moved to the place of 16: uint8 [blocks, 32]."""
    bits = packed[:, :, None] >> torch.arange(8, dtype=torch.uint8)
    return (bits & 1).view(-1, 32) << 4


def _q5_0(blocks: Tensor) -> Tensor:
    values = nibbles(blocks[:, 6:]) | _fifth_bits(blocks[:, 2:6])
    return values.to(torch.float32).sub_(16).mul_(half(blocks, 0))


def _q5_1(blocks: Tensor) -> Tensor:
    values = nibbles(blocks[:, 8:]) | _fifth_bits(blocks[:, 4:8])
    return values.to(torch.float32).mul_(half(blocks, 0)).add_(half(blocks, 2))


def _q8_0(blocks: Tensor) -> Tensor:
    return blocks[:, 2:].view(torch.int8).to(torch.float32).mul_(half(blocks, 0))


def k_scales(packed: Tensor) -> tuple[Tensor, Tensor]:
    """Scales and minimums of a K block's eight groups, each 6 bits of 12 bytes: uint8 [blocks, 8]."""
    first, second, mixed = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = torch.cat((first & 63, (mixed & 15) | ((first >> 6) << 4)), dim=1)
    minimums = torch.cat((second & 63, (mixed >> 4) | ((second >> 6) << 4)), dim=1)
    return scales, minimums


def k_nibbles(packed: Tensor) -> Tensor:
    """4-bit numbers of a K block, [blocks, 8 groups, 32]: each 32 bytes hold two groups."""
    return nibbles(packed.view(-1, 4, 32)).view(-1, 8, 32)


def _scaled_groups(values: Tensor, blocks: Tensor) -> Tensor:
    scales, minimums = k_scales(blocks[:, 4:16])
    scale = (scales.to(torch.float32) * half(blocks, 0))[:, :, None]
    minimum = (minimums.to(torch.float32) * half(blocks, 2))[:, :, None]
    return values.to(torch.float32).mul_(scale).sub_(minimum).view(-1, 256)


def _q4_k(blocks: Tensor) -> Tensor:
    return _scaled_groups(k_nibbles(blocks[:, 16:].contiguous()), blocks)


def _q5_k(blocks: Tensor) -> Tensor:
    fifth = (blocks[:, None, 16:48] >> torch.arange(8, dtype=torch.uint8)[:, None]) & 1
    return _scaled_groups(k_nibbles(blocks[:, 48:].contiguous()) | (fifth << 4), blocks)


def _q6_k(blocks: Tensor) -> Tensor:
    low = nibbles(blocks[:, :128].reshape(-1, 2, 64)).view(-1, 2, 4, 32)
    shifts = torch.arange(0, 8, 2, dtype=torch.uint8)[:, None]
    high = (blocks[:, 128:192].reshape(-1, 2, 1, 32) >> shifts) & 3
    scales = blocks[:, 192:208].view(torch.int8).to(torch.float32) * half(blocks, 208)
    values = (low | (high << 4)).to(torch.float32).sub_(32).view(-1, 16, 16)
    return values.mul_(scales[:, :, None]).view(-1, 256)


_FORMATS: dict[DType, Callable[[Tensor], Tensor]] = {
    DType.Q4_0: _q4_0,
    DType.Q4_1: _q4_1,
    DType.Q5_0: _q5_0,
    DType.Q5_1: _q5_1,
    DType.Q8_0: _q8_0,
    DType.Q4_K: _q4_k,
    DType.Q5_K: _q5_k,
    DType.Q6_K: _q6_k,
}
