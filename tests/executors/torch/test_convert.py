"""Converting: what is converted, what the file holds, and what goes wrong in an orderly way."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from sidecar.errors import InvalidModelFile, ModelLoadFailed, Unsupported
from sidecar.executors.base import ConvertedModel
from sidecar.executors.torch.convert import WEIGHTS_FILE
from sidecar.executors.torch.executor import TorchExecutor
from sidecar.executors.torch.formats import pieces
from sidecar.executors.torch.kind import TorchExecutorKind
from sidecar.executors.torch.linear.int4 import Int4Format
from sidecar.executors.torch.linear.int8 import Int8Format
from sidecar.executors.torch.weight_layout import model_layout
from sidecar.models.open import open_model
from sidecar.models.safetensors import read_safetensors
from sidecar.models.source import ModelSource
from tests.support.folder_writer import write_tiny_llama_folder
from tests.support.gguf_writer import write_tiny_llama
from tests.support.torch_executor import load_executor, logits_of, row

KIND = TorchExecutorKind()
TOKENS = [3, 7, 100, 42, 8, 8, 60]


def gguf_source(folder: Path, quantization: str, **fields: object) -> ModelSource:
    return open_model(write_tiny_llama(folder / f"{quantization}.gguf", quantization=quantization, **fields))


def convert(source: ModelSource, quantization: str, folder: Path) -> Path:
    folder.mkdir()
    KIND.convert(source, quantization, folder, lambda fraction, stage: None)
    return folder


def ignore(fraction: float, stage: str) -> None:
    """Progress that nobody watches."""


def test_only_what_differs_is_converted(tmp_path: Path) -> None:
    floats = open_model(write_tiny_llama_folder(tmp_path / "floats"))
    assert not KIND.needs_conversion(floats, "float32")
    assert KIND.needs_conversion(floats, "bfloat16")
    assert KIND.needs_conversion(floats, "int8")
    for quantization in ("F32", "Q4_1"):
        source = gguf_source(tmp_path, quantization)
        assert all(KIND.needs_conversion(source, name) for name in KIND.quantizations(source))


def test_llama3_divisors_of_a_gguf_file_are_applied(tmp_path: Path) -> None:
    divisors = np.linspace(1, 8, 8, dtype=np.float32)
    plain = load_executor(gguf_source(tmp_path, "F32"), "float32", tmp_path / "plain")
    divided = load_executor(
        open_model(write_tiny_llama(tmp_path / "d.gguf", extra_tensors={"rope_freqs.weight": divisors})),
        "float32",
        tmp_path / "divided",
    )
    expected = plain.runner.model.frequencies / torch.from_numpy(divisors)
    torch.testing.assert_close(divided.runner.model.frequencies, expected)


def test_progress_goes_from_little_to_all(tmp_path: Path) -> None:
    seen: list[float] = []
    source = gguf_source(tmp_path, "Q4_1")
    KIND.convert(source, "int8", tmp_path, lambda fraction, stage: seen.append(fraction))
    assert seen == sorted(seen)
    assert 0 < seen[0] < 0.5
    assert seen[-1] == 1.0


def test_int4_takes_what_has_4_bits_and_int8_the_rest(tmp_path: Path) -> None:
    layout = model_layout(gguf_source(tmp_path, "Q4_1").config)
    layer, embedding = layout.layers[0], layout.embedding

    def formats(quantization: str) -> set[type]:
        source = gguf_source(tmp_path, quantization)
        return {type(piece.format) for piece in pieces(layer.gate_up, source, "int4")}

    assert formats("Q4_1") == formats("Q4_0") == {Int4Format}
    assert formats("Q5_1") == formats("F16") == {Int8Format}
    [table] = pieces(embedding, gguf_source(tmp_path, "Q4_1"), "int4")
    assert type(table.format) is Int8Format


def test_a_matrix_is_cut_where_its_parts_have_different_formats(tmp_path: Path) -> None:
    """Heads of 16 leave k and v with 32 rows, which is no whole block of 64."""
    source = gguf_source(tmp_path, "Q4_1", hidden=128, heads=8, kv_heads=2)
    qkv = model_layout(source.config).layers[0].qkv
    found = pieces(qkv, source, "int4")
    assert [(piece.name, type(piece.format), piece.rows) for piece in found] == [
        ("layers.0.qkv.0", Int4Format, 128),
        ("layers.0.qkv.1", Int8Format, 64),
    ]
    wanted = row(TOKENS, samples=len(TOKENS))
    exact = logits_of(load_executor(source, "float32", tmp_path / "a"), wanted)
    mixed = logits_of(load_executor(source, "int4", tmp_path / "b"), wanted)
    assert float((mixed - exact).abs().mean()) < 0.05 * float(exact.std())


def test_the_file_is_safetensors_with_aligned_tensors(tmp_path: Path) -> None:
    source = gguf_source(tmp_path, "Q4_1")
    tensors = read_safetensors(convert(source, "int8", tmp_path / "int8") / WEIGHTS_FILE)
    assert tensors["embedding.0.weight"].shape == (512, 64)
    assert tensors["layers.1.qkv.0.weight"].type_name == "I8"
    assert tensors["layers.1.qkv.0.scale"].shape == (128,)


def test_floats_of_a_mapped_file_are_quantized_and_left_as_they_are(tmp_path: Path) -> None:
    source = open_model(write_tiny_llama_folder(tmp_path / "floats"))
    before = bytes(source.tensors["model.layers.0.mlp.up_proj.weight"].data)
    wanted = row(TOKENS, samples=len(TOKENS))
    exact = logits_of(load_executor(source, "float32", tmp_path), wanted)
    quantized = logits_of(load_executor(source, "int8", tmp_path), wanted)
    assert 0 < float((quantized - exact).abs().mean()) < 0.05 * float(exact.std())
    assert bytes(source.tensors["model.layers.0.mlp.up_proj.weight"].data) == before


def test_a_full_disk_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ModelLoadFailed, match="No space left"):
        convert(gguf_source(tmp_path, "Q4_1"), "int8", tmp_path / "int8")


def test_without_preallocation_the_file_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = gguf_source(tmp_path, "Q4_1")
    expected = (convert(source, "int4", tmp_path / "one") / WEIGHTS_FILE).read_bytes()
    monkeypatch.delattr(os, "posix_fallocate")
    assert (convert(source, "int4", tmp_path / "two") / WEIGHTS_FILE).read_bytes() == expected


def test_loading_without_a_needed_conversion_is_refused(tmp_path: Path) -> None:
    model = ConvertedModel(gguf_source(tmp_path, "Q4_1"), "int8")
    with pytest.raises(ModelLoadFailed, match="must be converted"):
        TorchExecutor("cpu", 1).load(model, ignore)


def test_a_converted_file_of_something_else_is_refused(tmp_path: Path) -> None:
    source = gguf_source(tmp_path, "Q4_1")
    folder = convert(source, "int8", tmp_path / "int8")
    with pytest.raises(InvalidModelFile, match=r"layers\.0\.qkv\.0"):
        TorchExecutor("cpu", 1).load(ConvertedModel(source, "int4", folder), ignore)


def test_a_truncated_converted_file_is_refused(tmp_path: Path) -> None:
    source = gguf_source(tmp_path, "Q4_1")
    folder = convert(source, "int8", tmp_path / "int8")
    os.truncate(folder / WEIGHTS_FILE, 5000)
    with pytest.raises(InvalidModelFile):
        TorchExecutor("cpu", 1).load(ConvertedModel(source, "int8", folder), ignore)


def test_an_unknown_quantization_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="int3"):
        convert(gguf_source(tmp_path, "Q4_1"), "int3", tmp_path / "int3")
