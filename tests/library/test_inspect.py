"""What a model file says of itself, runnable or not."""

from pathlib import Path

import pytest

from sidecar.errors import InvalidModelFile, NotFound
from sidecar.library.inspect import inspect_model
from tests.support.default_model import default_model_path
from tests.support.folder_writer import write_tiny_llama_folder
from tests.support.gguf_writer import write_tiny_llama


def test_a_gguf_file(tmp_path: Path) -> None:
    facts = inspect_model(write_tiny_llama(tmp_path / "tiny.gguf", quantization="Q8_0"))
    assert (facts.file_format, facts.architecture, facts.name) == ("gguf", "llama", "tiny random llama")
    assert (facts.license, facts.context_length, facts.has_chat_template) == ("apache-2.0", 256, True)
    assert facts.parameter_count == 512 * 64 + 2 * (64 * 16 * (8 + 4) + 3 * 64 * 128 + 2 * 64) + 64
    assert list(facts.quantization) == ["Q8_0", "F32"]
    assert sum(facts.quantization.values()) == pytest.approx(1)
    assert facts.file_bytes == facts.path.stat().st_size
    assert facts.problem is None


def test_a_folder(tmp_path: Path) -> None:
    facts = inspect_model(write_tiny_llama_folder(tmp_path / "tiny", shards=2))
    assert (facts.file_format, facts.architecture, facts.name) == ("safetensors", "LlamaForCausalLM", "tiny")
    assert (facts.context_length, facts.has_chat_template, facts.problem) == (256, True, None)
    assert facts.quantization == {"F32": 1.0}
    assert facts.parameter_count == 512 * 64 + 2 * (64 * 16 * (8 + 4) + 3 * 64 * 128 + 2 * 64) + 64


def test_a_model_that_cannot_be_run_is_described_with_the_reason(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf", hidden=256, intermediate=256, quantization="TQ2_0")
    facts = inspect_model(path)
    assert list(facts.quantization) == ["TQ2_0", "F32"]
    assert facts.problem is not None
    assert "TQ2_0" in facts.problem


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        inspect_model(tmp_path / "absent.gguf")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InvalidModelFile, match="not a GGUF file"):
        inspect_model(tmp_path / "notes.txt")


@pytest.mark.model
def test_the_default_model() -> None:
    facts = inspect_model(default_model_path())
    assert facts.parameter_count == 134_515_008
    assert facts.quantization["Q4_1"] == pytest.approx(0.79, abs=0.01)
