"""Opening models: what is found in a file is what was written into it."""

import time
from pathlib import Path

import gguf
import numpy as np
import pytest

from sidecar.errors import InvalidModelFile, NotFound, Unsupported
from sidecar.models.config import DType
from sidecar.models.open import open_model
from tests.support.default_model import default_model_path
from tests.support.gguf_writer import random_weights, write_tiny_llama
from tests.support.tiny_tokenizer import CHAT_TEMPLATE, TURN_BEGIN, TURN_END


def test_config_tokenizer_and_template_come_from_the_file(tmp_path: Path) -> None:
    source = open_model(write_tiny_llama(tmp_path / "tiny.gguf", layers=3, context_length=128))
    assert source.file_format == "gguf"
    assert (source.config.num_layers, source.config.head_dim, source.config.context_length) == (3, 16, 128)
    assert source.config.tie_word_embeddings
    assert source.permuted_qk
    assert source.config.rms_norm_epsilon == pytest.approx(1e-5)
    assert (source.config.bos_token_id, source.config.eos_token_ids) == (TURN_BEGIN, (TURN_END,))
    assert len(source.tokenizer.tokens) == source.config.vocab_size == 512
    assert source.chat_template == CHAT_TEMPLATE
    assert source.metadata["license"] == "apache-2.0"


@pytest.mark.parametrize("quantization", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"])
def test_tensors_are_the_bytes_that_were_written(tmp_path: Path, quantization: str) -> None:
    source = open_model(write_tiny_llama(tmp_path / "tiny.gguf", quantization=quantization, seed=3))
    weight = random_weights(2, 64, 4, 2, 128, 512, seed=3, tie=True)["blk.1.ffn_down.weight"]
    expected = gguf.quants.quantize(weight, gguf.GGMLQuantizationType[quantization])
    tensor = source.tensors["model.layers.1.mlp.down_proj.weight"]
    assert (tensor.dtype, tensor.shape) == (DType(quantization), (64, 128))
    assert bytes(tensor.data) == expected.tobytes()


def test_views_outlive_the_source(tmp_path: Path) -> None:
    view = open_model(write_tiny_llama(tmp_path / "tiny.gguf")).tensors["model.norm.weight"].data
    assert np.isfinite(np.frombuffer(view, np.float32)).all()


def test_a_head_of_its_own_is_not_tied(tmp_path: Path) -> None:
    source = open_model(write_tiny_llama(tmp_path / "tiny.gguf", tie=False))
    assert not source.config.tie_word_embeddings
    assert source.tensors["lm_head.weight"].shape == (512, 64)


def test_llama3_frequencies_are_kept(tmp_path: Path) -> None:
    divisors = np.arange(1, 9, dtype=np.float32)
    path = write_tiny_llama(tmp_path / "tiny.gguf", extra_tensors={"rope_freqs.weight": divisors})
    assert np.array_equal(
        np.frombuffer(open_model(path).tensors["rope_freqs.weight"].data, np.float32), divisors
    )


def test_a_tensor_of_another_variant_is_refused(tmp_path: Path) -> None:
    extra = {"blk.0.attn_sub_norm.weight": np.ones(64, np.float32)}
    with pytest.raises(Unsupported, match=r"attn_sub_norm"):
        open_model(write_tiny_llama(tmp_path / "tiny.gguf", extra_tensors=extra))


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf")
    path.write_bytes(path.read_bytes().replace(b"blk.1.ffn_gate.weight", b"blk.7.ffn_gate.weight"))
    with pytest.raises(InvalidModelFile, match=r"model\.layers\.1\.mlp\.gate_proj\.weight"):
        open_model(path)


def test_a_misshapen_tensor_is_named(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf")
    content = path.read_bytes()
    key = b"llama.feed_forward_length\x04\x00\x00\x00"
    assert content.count(key) == 1
    path.write_bytes(content.replace(key + (128).to_bytes(4, "little"), key + (96).to_bytes(4, "little")))
    with pytest.raises(InvalidModelFile, match=r"mlp\.gate_proj\.weight.*\(128, 64\).*asks for \(96, 64\)"):
        open_model(path)


def test_an_unsupported_architecture_is_named_with_the_supported_ones(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf")
    path.write_bytes(path.read_bytes().replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0rwkv6"))
    with pytest.raises(Unsupported, match=r"'rwkv6' is not supported; supported: llama, qwen2, qwen3"):
        open_model(path)


def test_an_unsupported_quantization_names_tensor_and_type(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", hidden=256, intermediate=256, quantization="TQ2_0")
    with pytest.raises(Unsupported, match=r"'token_embd\.weight' is quantized as TQ2_0; supported: F32"):
        open_model(path)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        open_model(tmp_path / "absent.gguf")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(Unsupported, match=r"\.gguf file or a folder"):
        open_model(tmp_path / "notes.txt")
    (tmp_path / "folder.gguf").touch()
    with pytest.raises(InvalidModelFile, match="is empty"):
        open_model(tmp_path / "folder.gguf")


@pytest.mark.model
def test_the_default_model_opens_quickly_and_whole() -> None:
    begin = time.perf_counter()
    source = open_model(default_model_path())
    elapsed = time.perf_counter() - begin
    assert source.config.parameter_count == 134_515_008
    assert len(source.tensors) == 272
    assert source.tensors["model.embed_tokens.weight"].dtype is DType.Q8_0
    assert source.tensors["model.layers.29.mlp.up_proj.weight"].dtype is DType.Q4_1
    assert elapsed < 1.0
