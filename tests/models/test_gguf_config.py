"""What a GGUF file's metadata means for each architecture."""

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.errors import InvalidModelFile, Unsupported
from sidecar.models.gguf import GGUFFile, read_gguf
from sidecar.models.open import open_model, source_of_gguf
from sidecar.models.source import ModelSource
from tests.support.tiny_tokenizer import END_OF_TEXT, TURN_END
from tests.support.transformers_gguf import write_gguf
from tests.support.transformers_models import random_model


def opened(folder: Path, architecture: str, **fields: object) -> ModelSource:
    return open_model(write_gguf(random_model(architecture, **fields), folder / "model.gguf"))


def changed(folder: Path, architecture: str, **metadata: object) -> GGUFFile:
    """A file whose metadata says this as well ("__" stands for "."), or says nothing where it is None."""
    file = read_gguf(write_gguf(random_model(architecture), folder / "model.gguf"))
    values = {**file.metadata, **{key.replace("__", "."): value for key, value in metadata.items()}}
    return replace(file, metadata={key: value for key, value in values.items() if value is not None})


@pytest.mark.parametrize(
    ("architecture", "name", "permuted"),
    [
        ("llama", "llama", True),
        ("mistral", "llama", True),
        ("qwen2", "qwen2", False),
        ("qwen3", "qwen3", False),
    ],
)
def test_rows_of_queries_are_permuted_in_llama_files_alone(
    tmp_path: Path, architecture: str, name: str, permuted: bool
) -> None:
    source = opened(tmp_path, architecture)
    assert (source.config.architecture, source.permuted_qk) == (name, permuted)


@pytest.mark.parametrize(
    ("architecture", "fields", "expected"),
    [
        ("llama", {"attention_bias": True, "mlp_bias": True}, (True, True, True, False)),
        ("mistral", {}, (False, False, False, False)),
        ("qwen2", {}, (True, False, False, False)),
        ("qwen3", {}, (False, False, False, True)),
        ("qwen3", {"attention_bias": True}, (True, True, False, True)),
    ],
)
def test_biases_and_norms_of_heads_are_found(
    tmp_path: Path, architecture: str, fields: dict[str, object], expected: tuple[bool, ...]
) -> None:
    config = opened(tmp_path, architecture, **fields).config
    found = (config.qkv_bias, config.attention_output_bias, config.mlp_bias, config.query_key_norm)
    assert found == expected


@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "qwen3"])
def test_parameters_are_counted_as_transformers_does(tmp_path: Path, architecture: str) -> None:
    biases = {"attention_bias": True, "mlp_bias": True} if architecture == "llama" else {}
    model = random_model(architecture, head_dim=24, **biases)
    source = open_model(write_gguf(model, tmp_path / "model.gguf"))
    assert source.config.parameter_count == model.num_parameters()


@pytest.mark.parametrize(("window", "expected"), [(64, 64), (None, None), (512, None), (4096, None)])
def test_sliding_window(tmp_path: Path, window: int | None, expected: int | None) -> None:
    assert opened(tmp_path, "mistral", sliding_window=window).config.sliding_window == expected


@pytest.mark.parametrize("pattern", [2, (True, False, True)])
def test_a_window_in_some_layers_alone_is_refused(tmp_path: Path, pattern: object) -> None:
    file = changed(tmp_path, "qwen3", qwen3__attention__sliding_window_pattern=pattern)
    with pytest.raises(Unsupported, match="sliding_window_pattern"):
        source_of_gguf(file)


@pytest.mark.parametrize("window", [-1, "wide", (64, 64)])
def test_a_bad_window_is_named(tmp_path: Path, window: object) -> None:
    file = changed(tmp_path, "qwen2", qwen2__attention__sliding_window=window)
    with pytest.raises(InvalidModelFile, match="sliding_window"):
        source_of_gguf(file)


def test_a_window_of_nothing_is_none(tmp_path: Path) -> None:
    file = changed(tmp_path, "qwen2", qwen2__attention__sliding_window=0)
    assert source_of_gguf(file).config.sliding_window is None


@pytest.mark.parametrize(("architecture", "pre"), [("llama", ""), ("qwen2", "qwen2"), ("qwen3", "qwen2")])
def test_old_files_of_qwen_are_cut_as_qwen_does(tmp_path: Path, architecture: str, pre: str) -> None:
    file = changed(tmp_path, architecture, tokenizer__ggml__pre=None)
    assert source_of_gguf(file).tokenizer.pre == pre


@pytest.mark.parametrize(
    ("architecture", "ends"), [("llama", (TURN_END,)), ("qwen2", (TURN_END, END_OF_TEXT))]
)
def test_qwen_ends_with_either_of_two_tokens(
    tmp_path: Path, architecture: str, ends: tuple[int, ...]
) -> None:
    assert opened(tmp_path, architecture).config.eos_token_ids == ends
