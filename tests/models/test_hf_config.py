"""What config.json means for each architecture; where it is silent, what transformers takes it to mean."""

from pathlib import Path

import pytest
from transformers import AutoConfig

from sidecar.errors import InvalidModelFile, Unsupported
from sidecar.models.config import ModelConfig
from sidecar.models.fields import Fields
from sidecar.models.hf_config import model_config

CLASSES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
SHAPE: dict[str, object] = {
    "vocab_size": 512,
    "hidden_size": 1024,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
}


def read(architecture: str, **fields: object) -> ModelConfig:
    path = Path("config.json")
    values = {**SHAPE, "architectures": [CLASSES[architecture]], **fields}
    return model_config(Fields(path, values), Fields(path, {}))


@pytest.mark.parametrize("architecture", CLASSES)
def test_what_is_not_written_is_what_transformers_takes(architecture: str) -> None:
    config, reference = read(architecture), AutoConfig.for_model(architecture, **SHAPE)
    assert config.architecture == architecture
    assert config.context_length == reference.max_position_embeddings
    assert config.head_dim == (getattr(reference, "head_dim", None) or 1024 // 8)
    assert config.sliding_window == getattr(reference, "sliding_window", None)
    assert config.rms_norm_epsilon == reference.rms_norm_eps
    assert config.rope.theta == reference.rope_parameters["rope_theta"]
    assert config.tie_word_embeddings == reference.tie_word_embeddings


@pytest.mark.parametrize(
    ("architecture", "fields", "expected"),
    [
        ("llama", {}, (False, False, False)),
        ("llama", {"attention_bias": True}, (True, True, False)),
        ("llama", {"mlp_bias": True}, (False, False, True)),
        ("mistral", {"attention_bias": True, "mlp_bias": True}, (False, False, False)),
        ("qwen2", {}, (True, False, False)),
        ("qwen3", {}, (False, False, False)),
        ("qwen3", {"attention_bias": True}, (True, True, False)),
    ],
)
def test_biases(architecture: str, fields: dict[str, object], expected: tuple[bool, bool, bool]) -> None:
    config = read(architecture, **fields)
    assert (config.qkv_bias, config.attention_output_bias, config.mlp_bias) == expected


@pytest.mark.parametrize("architecture", CLASSES)
def test_qwen3_alone_has_norms_of_heads(architecture: str) -> None:
    assert read(architecture).query_key_norm is (architecture == "qwen3")


@pytest.mark.parametrize(
    ("architecture", "fields", "window"),
    [
        ("llama", {"sliding_window": 64}, None),
        ("mistral", {"sliding_window": 64}, 64),
        ("mistral", {"sliding_window": None}, None),
        ("mistral", {"sliding_window": 256, "max_position_embeddings": 256}, None),
        ("qwen2", {"sliding_window": 64, "max_window_layers": 0}, None),
        ("qwen2", {"sliding_window": 64, "max_window_layers": 0, "use_sliding_window": True}, 64),
        ("qwen2", {"sliding_window": 64, "max_window_layers": 4, "use_sliding_window": True}, None),
        ("qwen3", {"sliding_window": 64, "use_sliding_window": True}, None),
        ("qwen3", {"sliding_window": None, "max_window_layers": 0, "use_sliding_window": True}, None),
        (
            "qwen3",
            {"sliding_window": 64, "use_sliding_window": True, "layer_types": ["sliding_attention"] * 4},
            64,
        ),
        (
            "qwen3",
            {"sliding_window": 64, "use_sliding_window": True, "layer_types": ["full_attention"] * 4},
            None,
        ),
    ],
)
def test_sliding_window(architecture: str, fields: dict[str, object], window: int | None) -> None:
    assert read(architecture, **fields).sliding_window == window


@pytest.mark.parametrize(
    "pattern",
    [{"max_window_layers": 2}, {"layer_types": ["sliding_attention", "full_attention"] * 2}],
    ids=["max_window_layers", "layer_types"],
)
def test_a_window_in_some_layers_alone_is_refused(pattern: dict[str, object]) -> None:
    with pytest.raises(Unsupported, match=r"64 tokens.*in some layers"):
        read("qwen2", use_sliding_window=True, sliding_window=64, **pattern)


@pytest.mark.parametrize("window", [0, -1, "wide", True])
def test_a_bad_window_is_named(window: object) -> None:
    with pytest.raises(InvalidModelFile, match="sliding_window"):
        read("mistral", sliding_window=window)
