"""Model folders: config.json, safetensors whole and in shards, tokenizer and template."""

import json
from pathlib import Path

import numpy as np
import pytest

from sidecar.errors import InvalidModelFile, Unsupported
from sidecar.models.config import DType
from sidecar.models.open import open_model
from tests.support.folder_writer import write_tiny_llama_folder
from tests.support.gguf_writer import random_weights
from tests.support.tiny_tokenizer import CHAT_TEMPLATE


@pytest.mark.parametrize("shards", [1, 3])
def test_weights_config_tokenizer_and_template_are_found(tmp_path: Path, shards: int) -> None:
    source = open_model(write_tiny_llama_folder(tmp_path / "tiny", seed=5, shards=shards))
    assert source.file_format == "safetensors"
    assert not source.permuted_qk
    assert source.config.architecture == "llama"
    assert source.config.rms_norm_epsilon == 1e-5
    assert source.chat_template == CHAT_TEMPLATE
    assert source.tokenizer.json_path == tmp_path / "tiny" / "tokenizer.json"
    written = random_weights(2, 64, 4, 2, 128, 512, seed=5, tie=True)["blk.1.ffn_up.weight"]
    tensor = source.tensors["model.layers.1.mlp.up_proj.weight"]
    assert tensor.dtype is DType.F32
    assert np.array_equal(np.frombuffer(tensor.data, np.float32).reshape(tensor.shape), written)


def test_end_tokens_are_those_of_both_configs(tmp_path: Path) -> None:
    folder = write_tiny_llama_folder(tmp_path)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 0]}))
    assert open_model(folder).config.eos_token_ids == (2, 0)


@pytest.mark.parametrize(
    ("written", "theta", "scaling"),
    [
        ({"rope_theta": 5e5}, 5e5, {}),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, 1e4, {"rope_type": "linear", "factor": 2.0}),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 7e4}}, 7e4, {}),
        (
            {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0}},
            5e5,
            {"rope_type": "llama3", "factor": 8.0},
        ),
    ],
)
def test_rope_is_read_in_both_spellings(
    tmp_path: Path, written: dict[str, object], theta: float, scaling: dict[str, object]
) -> None:
    rope = open_model(write_tiny_llama_folder(tmp_path, config=written)).config.rope
    assert (rope.theta, rope.scaling) == (theta, scaling)


def test_a_tied_head_that_is_stored_anyway_is_left_out(tmp_path: Path) -> None:
    folder = write_tiny_llama_folder(tmp_path, tie=False, config={"tie_word_embeddings": True})
    assert "lm_head.weight" not in open_model(folder).tensors


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, r"'GPT2LMHeadModel' is not supported; supported: Llama"),
        ({"architectures": None}, r"'unnamed' is not supported"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantized with 'gptq'"),
        ({"hidden_act": "gelu"}, "'gelu'"),
    ],
)
def test_what_cannot_be_run_is_named(tmp_path: Path, config: dict[str, object], match: str) -> None:
    with pytest.raises(Unsupported, match=match):
        open_model(write_tiny_llama_folder(tmp_path, config=config))


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"hidden_size": 10**30}, "hidden_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"rms_norm_eps": "small"}, "rms_norm_eps"),
        ({"rope_theta": -1}, "rope_theta"),
        ({"eos_token_id": 512}, "eos_token_id"),
        ({"rope_scaling": [1]}, "rope_scaling"),
    ],
)
def test_a_bad_value_names_its_key(tmp_path: Path, config: dict[str, object], key: str) -> None:
    with pytest.raises(InvalidModelFile, match=key):
        open_model(write_tiny_llama_folder(tmp_path, config=config))


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "..", "a/b.safetensors", 7])
def test_an_index_never_leads_out_of_its_folder(tmp_path: Path, name: object) -> None:
    folder = write_tiny_llama_folder(tmp_path / "model", shards=2)
    write_tiny_llama_folder(tmp_path)
    index = folder / "model.safetensors.index.json"
    document = json.loads(index.read_text())
    document["weight_map"]["model.norm.weight"] = name
    index.write_text(json.dumps(document))
    with pytest.raises(InvalidModelFile, match="must be a plain name in the same folder"):
        open_model(folder)


def test_an_index_that_misplaces_a_tensor_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_llama_folder(tmp_path, shards=2)
    index = folder / "model.safetensors.index.json"
    document = json.loads(index.read_text())
    places = document["weight_map"]
    other = next(place for place in places.values() if place != places["model.norm.weight"])
    places["model.norm.weight"] = other
    index.write_text(json.dumps(document))
    with pytest.raises(InvalidModelFile, match=r"model\.norm\.weight"):
        open_model(folder)


def test_a_folder_without_a_model_says_what_one_has(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"config\.json and model\.safetensors"):
        open_model(tmp_path)
