"""Layers that architectures share."""

import torch
from torch import Tensor
from torch.nn import functional


class RMSNorm:
    """x / sqrt(mean(x²) + epsilon) * weight, over the last axis. Zhang & Sennrich (2019).

    `weight` is [size], or [heads, size] where each head of a token has its own.
    """

    __slots__ = ("epsilon", "size", "weight")

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        self.weight = weight
        self.size = weight.shape[-1]
        self.epsilon = torch.full((1, 1), epsilon, device=weight.device)

    def __call__(self, hidden: Tensor) -> Tensor:
        """float32 [tokens, size], or [tokens, heads, size], to the same."""
        length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True)
        scale = torch.addcmul(self.epsilon, length, length, value=1 / self.size).rsqrt_()
        return torch.mul(hidden, scale).mul_(self.weight)


def swiglu(gate_up: Tensor) -> Tensor:
    """SiLU(gate) * up for [tokens, 2 * intermediate size], gate first. Shazeer (2020)."""
    gate, up = gate_up.chunk(2, dim=-1)
    return functional.silu(gate).mul_(up)
