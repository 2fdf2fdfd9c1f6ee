"""The key-value cache: one tensor, allocated once, made of blocks of 16 tokens.

Layout [layer, head, block, slot, head_dim], where `head` runs over the key
heads and then the value heads: what one head remembers of one sequence is
contiguous as long as the sequence's blocks are adjacent.
"""

import ctypes
import mmap
from collections.abc import Sequence

import torch
from torch import Tensor

from sidecar.errors import InvalidParams
from sidecar.executors.base import BLOCK_SIZE, CacheLayout
from sidecar.executors.memory import require_memory
from sidecar.executors.torch.views import tensor_view
from sidecar.models.config import ModelConfig

LAYOUT_VERSION = 1


def bytes_per_block(config: ModelConfig, dtype: torch.dtype) -> int:
    """What one block takes over all layers."""
    heads = 2 * config.num_key_value_heads
    return config.num_layers * heads * BLOCK_SIZE * config.head_dim * dtype.itemsize


class CacheEngine:
    """Owns the cache's memory. Every number in it is finite: see `clear_slots`."""

    def __init__(self, config: ModelConfig, blocks: int, dtype: torch.dtype, device: torch.device) -> None:
        """Raises OutOfMemory when there is no room for `blocks` blocks."""
        self.shape = (
            config.num_layers,
            2 * config.num_key_value_heads,
            blocks,
            BLOCK_SIZE,
            config.head_dim,
        )
        self.blocks = blocks
        self.layout = CacheLayout(
            blocks=blocks,
            bytes_per_block=bytes_per_block(config, dtype),
            fingerprint=(
                f"torch-{LAYOUT_VERSION}-{str(dtype).removeprefix('torch.')}-"
                f"{'x'.join(map(str, (self.shape[0], self.shape[1], BLOCK_SIZE, config.head_dim)))}"
            ),
        )
        size = blocks * self.layout.bytes_per_block
        if device.type == "cpu":
            require_memory(size, f"a cache of {blocks} blocks")
            # Fresh anonymous pages read as zeros and take memory only once they are written.
            memory = memoryview(mmap.mmap(-1, max(size, 1)))[:size]
            self.tensor = tensor_view(memory, dtype, self.shape)
        else:
            self.tensor = torch.zeros(self.shape, dtype=dtype, device=device)
        self.layers: tuple[Tensor, ...] = self.tensor.unbind(0)
        self.slots: tuple[Tensor, ...] = tuple(layer.flatten(1, 2) for layer in self.layers)

    @property
    def dtype(self) -> torch.dtype:
        """Type of a stored number."""
        return self.tensor.dtype

    def write(self, layer: int, slots: Tensor, keys_values: Tensor) -> None:
        """Store floats [tokens, key and value heads, head_dim] at `slots` (block * BLOCK_SIZE + offset)."""
        self.slots[layer].index_copy_(1, slots, keys_values.transpose(0, 1))

    def clear_slots(self, slots: Tensor) -> None:
        """Zero what a failed row wrote: a NaN left behind would reach rows that read the block as padding."""
        self.tensor.flatten(2, 3).index_fill_(2, slots, 0)

    def copy(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Copy blocks (source, target), all sources read before any target is written."""
        if not pairs:
            return
        sources, targets = zip(*pairs, strict=True)
        self.tensor.index_copy_(2, self._ids(targets), self.tensor.index_select(2, self._ids(sources)))

    def export(self, blocks: Sequence[int]) -> bytes:
        """The content of blocks, in order."""
        content = self.tensor.index_select(2, self._ids(blocks)).cpu().contiguous()
        return ctypes.string_at(content.data_ptr(), content.nbytes)

    def restore(self, blocks: Sequence[int], content: bytes) -> None:
        """Fill blocks with an export. Raises InvalidParams when it is not one of so many blocks."""
        expected = len(blocks) * self.layout.bytes_per_block
        if len(content) != expected:
            raise InvalidParams(f"content has {len(content)} bytes; {len(blocks)} blocks take {expected}")
        shape = (*self.shape[:2], len(blocks), *self.shape[3:])
        values = tensor_view(content, self.dtype, shape)
        if not bool(values.isfinite().all()):
            raise InvalidParams("content has numbers that are not finite")
        self.tensor.index_copy_(2, self._ids(blocks), values.to(self.tensor.device))

    def _ids(self, blocks: Sequence[int]) -> Tensor:
        return torch.tensor(blocks, dtype=torch.int64, device=self.tensor.device)
