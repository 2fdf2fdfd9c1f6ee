"""Tensors that are views of somebody else's bytes."""

import warnings
from collections.abc import Sequence

import torch

from sidecar.models.config import DType
from sidecar.models.source import StoredTensor

PLAIN_DTYPES = {
    DType.F32: torch.float32,
    DType.F16: torch.float16,
    DType.BF16: torch.bfloat16,
    DType.I8: torch.int8,
}


def tensor_view(
    buffer: memoryview | bytes | bytearray, dtype: torch.dtype, shape: Sequence[int]
) -> torch.Tensor:
    """A tensor over `buffer`, which it keeps alive. Nobody may write to it when the buffer is read-only."""
    if not memoryview(buffer).nbytes:
        return torch.empty(tuple(shape), dtype=dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given buffer is not writable")
        return torch.frombuffer(buffer, dtype=dtype).view(tuple(shape))


def stored_view(stored: StoredTensor) -> torch.Tensor:
    """A stored tensor of a plain type, uncopied."""
    return tensor_view(stored.data, PLAIN_DTYPES[stored.dtype], stored.shape)
