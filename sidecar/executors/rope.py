"""Rotary position embedding: the angle by which each pair of a head's numbers turns from token to token.

Knows nothing of tensors or of any library for them. Su et al., "RoFormer"
(2021); scaling by "linear" (Chen et al. 2023, position interpolation) and
"llama3" (Meta, Llama 3.1). Every operation is rounded to float32 in the order
in which transformers computes it, because long contexts multiply the last bit.
"""

import math
import struct
from collections.abc import Sequence

from sidecar.errors import Unsupported
from sidecar.models.config import ModelConfig

SCALINGS = ("default", "linear", "llama3")


def is_supported(config: ModelConfig) -> bool:
    """Whether this kind of scaling can be computed here."""
    return config.rope.scaling.get("rope_type", "default") in SCALINGS


def inverse_frequencies(config: ModelConfig, divisors: Sequence[float] | None) -> list[float]:
    """Radians a position for each of the rotary dimensions / 2 pairs, float32 values.

    `divisors`, one for each pair, are a GGUF file's rope_freqs, which hold llama3
    scaling worked out. Raises Unsupported for an unknown scaling or one without
    its numbers.
    """
    rope = config.rope
    dimensions = rope.rotary_dimensions or config.head_dim
    theta = _single(rope.theta)
    frequencies = [
        _single(1 / _single(theta ** _single(index / dimensions))) for index in range(0, dimensions, 2)
    ]
    if divisors is not None:
        frequencies = [
            _single(frequency / divisor) for frequency, divisor in zip(frequencies, divisors, strict=True)
        ]
    kind = rope.scaling.get("rope_type", "default")
    if kind == "linear":
        factor = _number(config, "factor")
        return [_single(frequency / factor) for frequency in frequencies]
    if kind == "llama3":
        return _llama3(config, frequencies)
    if kind != "default":
        raise Unsupported(f"RoPE scaling {kind!r} is not supported; supported: {', '.join(SCALINGS)}")
    return frequencies


def _llama3(config: ModelConfig, frequencies: list[float]) -> list[float]:
    """Long wavelengths are stretched by `factor`, short ones kept, those between blended."""
    factor = _number(config, "factor")
    low, high = _number(config, "low_freq_factor"), _number(config, "high_freq_factor")
    whole_turn = _single(2 * math.pi)
    original = _number(config, "original_max_position_embeddings")
    if low >= high:
        raise Unsupported(f"RoPE scaling needs low_freq_factor ({low}) below high_freq_factor ({high})")

    def scaled(frequency: float) -> float:
        # torch divides a plain number by a tensor as reciprocal and product, each rounded.
        wavelength = _single(_single(1 / frequency) * whole_turn)
        if wavelength > original / low:
            return _single(frequency / factor)
        if wavelength < original / high:
            return frequency
        kept = _single(_single(_single(_single(1 / wavelength) * original) - low) / (high - low))
        stretched = _single(_single(_single(1 - kept) * frequency) / factor)
        return _single(stretched + _single(kept * frequency))

    return [scaled(frequency) for frequency in frequencies]


def _number(config: ModelConfig, name: str) -> float:
    value = config.rope.scaling.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise Unsupported(f"RoPE scaling needs a {name!r} above 0; the model's file says {value!r}")
    return _single(value)


def _single(value: float) -> float:
    """Rounded to float32."""
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded
