"""Turning queries and keys by their positions."""

import torch
from torch import Tensor

from sidecar.executors import rope
from sidecar.models.config import ModelConfig


def inverse_frequencies(config: ModelConfig, divisors: Tensor | None) -> Tensor:
    """Radians a position for each rotated pair, float32 [rotary dimensions / 2]. See executors/rope.py."""
    listed = None if divisors is None else divisors.tolist()
    return torch.tensor(rope.inverse_frequencies(config, listed), dtype=torch.float32)


class Rotation:
    """The rotation of one step's tokens, used by every layer."""

    __slots__ = ("cosines", "half", "sines")

    def __init__(self, positions: Tensor, frequencies: Tensor) -> None:
        """`positions` int64 [tokens]."""
        angles = positions.to(torch.float32)[:, None, None] * frequencies
        cosines, sines = angles.cos(), angles.sin()
        self.cosines = torch.cat((cosines, cosines), dim=-1)
        self.sines = torch.cat((sines.neg(), sines), dim=-1)
        self.half = frequencies.shape[0]

    def apply(self, heads: Tensor) -> None:
        """Turn float32 [tokens, heads, head_dim] in place; a pair is i and i + rotary dimensions / 2."""
        turned = heads[..., : 2 * self.half]
        swapped = turned.roll(self.half, dims=-1)
        turned.mul_(self.cosines).addcmul_(swapped, self.sines)
