"""Rotary frequencies against those that transformers computes, to float32's precision."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from sidecar.errors import Unsupported
from sidecar.executors.rope import inverse_frequencies, is_supported
from sidecar.models.config import ModelConfig, RopeConfig

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def model(rope: RopeConfig, head_dim: int = 64) -> ModelConfig:
    return ModelConfig(
        architecture="llama",
        vocab_size=320,
        hidden_size=2 * head_dim,
        intermediate_size=64,
        num_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=head_dim,
        context_length=4096,
        rms_norm_epsilon=1e-5,
        rope=rope,
    )


def transformers_frequencies(config: ModelConfig) -> np.ndarray:
    reference = LlamaConfig(
        hidden_size=config.hidden_size,
        num_attention_heads=config.num_attention_heads,
        head_dim=config.head_dim,
        max_position_embeddings=config.context_length,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope.theta, **config.rope.scaling},
    )
    frequencies: torch.Tensor = LlamaRotaryEmbedding(reference).inv_freq
    return frequencies.numpy()


def assert_same(found: list[float], expected: np.ndarray) -> None:
    """One step of float32 apart: torch's own power may be off by one, and a division rounds again."""
    assert np.array(found, np.float32).tolist() == found
    assert found == pytest.approx(expected.tolist(), rel=1.5 * 2**-23, abs=0)


@pytest.mark.parametrize("head_dim", [16, 64, 80, 96, 128, 256])
@pytest.mark.parametrize("theta", [10000.0, 100000.0, 500000.0, 1000000.0, 5000000.0])
@pytest.mark.parametrize(
    "scaling", [{}, {"rope_type": "linear", "factor": 3.0}, LLAMA3], ids=["default", "linear", "llama3"]
)
def test_frequencies_are_those_of_transformers(
    head_dim: int, theta: float, scaling: dict[str, object]
) -> None:
    config = model(RopeConfig(theta=theta, scaling=scaling), head_dim)
    assert_same(inverse_frequencies(config, None), transformers_frequencies(config))


def test_a_part_of_a_head_rotates_like_a_smaller_head() -> None:
    partial = model(RopeConfig(rotary_dimensions=16), head_dim=64)
    assert inverse_frequencies(partial, None) == inverse_frequencies(model(RopeConfig(), 16), None)


def test_a_files_divisors_give_what_the_scaling_gives() -> None:
    """A GGUF file's rope_freqs are llama3's scaling worked out."""
    plain, scaled = model(RopeConfig(theta=5e5)), model(RopeConfig(theta=5e5, scaling=LLAMA3))
    wanted = inverse_frequencies(scaled, None)
    divisors = [a / b for a, b in zip(inverse_frequencies(plain, None), wanted, strict=True)]
    assert min(divisors) == 1.0
    assert max(divisors) == 8.0
    assert_same(inverse_frequencies(plain, divisors), np.array(wanted, np.float32))


@pytest.mark.parametrize("kind", ["dynamic", "yarn", "longrope", "unheard-of"])
def test_other_scalings_are_refused(kind: str) -> None:
    config = model(RopeConfig(scaling={"rope_type": kind, "factor": 2.0}))
    assert not is_supported(config)
    with pytest.raises(Unsupported, match=rf"{kind}.*supported: default, linear, llama3"):
        inverse_frequencies(config, None)


@pytest.mark.parametrize("factor", [None, 0, -1.0, True, "2", math.nan, math.inf])
def test_a_scaling_needs_its_numbers(factor: object) -> None:
    config = model(RopeConfig(scaling={"rope_type": "linear", "factor": factor}))
    assert is_supported(config)
    with pytest.raises(Unsupported, match="'factor' above 0"):
        inverse_frequencies(config, None)


def test_llama3_needs_a_low_factor_below_the_high_one() -> None:
    scaling = {**LLAMA3, "low_freq_factor": 4.0}
    config = replace(model(RopeConfig()), rope=RopeConfig(scaling=scaling))
    with pytest.raises(Unsupported, match=r"low_freq_factor .* below high_freq_factor"):
        inverse_frequencies(config, None)
