"""Rotary position embedding: the frequencies of a model, and turning queries and keys by them.

Su et al., "RoFormer" (2021). Scaling by "linear" (Chen et al. 2023, position
interpolation) and "llama3" (Meta, Llama 3.1), as transformers computes them.
"""

import math

import torch
from torch import Tensor

from sidecar.errors import Unsupported
from sidecar.models.config import ModelConfig

SCALINGS = ("default", "linear", "llama3")


def is_supported(config: ModelConfig) -> bool:
    """Whether this kind of scaling can be computed here."""
    return config.rope.scaling.get("rope_type", "default") in SCALINGS


def inverse_frequencies(config: ModelConfig, divisors: Tensor | None) -> Tensor:
    """Radians a position for each rotated pair, float32 [rotary dimensions / 2].

    `divisors` are a GGUF file's rope_freqs, which hold llama3 scaling worked
    out. Raises Unsupported for an unknown scaling or one without its numbers.
    """
    rope = config.rope
    dimensions = rope.rotary_dimensions or config.head_dim
    exponents = torch.arange(0, dimensions, 2, dtype=torch.float32) / dimensions
    frequencies = 1.0 / rope.theta**exponents
    if divisors is not None:
        frequencies /= divisors.cpu()
    kind = rope.scaling.get("rope_type", "default")
    if kind == "linear":
        return frequencies / _number(config, "factor")
    if kind == "llama3":
        return _llama3(config, frequencies)
    if kind != "default":
        raise Unsupported(f"RoPE scaling {kind!r} is not supported; supported: {', '.join(SCALINGS)}")
    return frequencies


def _llama3(config: ModelConfig, frequencies: Tensor) -> Tensor:
    """Long wavelengths are stretched by `factor`, short ones kept, those between blended."""
    factor = _number(config, "factor")
    low, high = _number(config, "low_freq_factor"), _number(config, "high_freq_factor")
    original = _number(config, "original_max_position_embeddings")
    turns = original * frequencies / (2 * math.pi)
    blend = ((turns - low) / (high - low)).clamp(0, 1)
    return (1 - blend) * frequencies / factor + blend * frequencies


def _number(config: ModelConfig, name: str) -> float:
    value = config.rope.scaling.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        raise Unsupported(f"RoPE scaling needs a {name!r} above 0; the model's file says {value!r}")
    return float(value)


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
