"""The random model's file: complete, sound, and what it says it is."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader
from gguf.quants import dequantize

from benchmarks.random_model import LLAMA_1_4B, ModelShape, write_random_model
from sidecar.models.config import DType
from sidecar.models.open import open_model
from sidecar.text.tokenizer import Tokenizer

SMALL = ModelShape(2, 64, 4, 2, 128, 512, context_length=256)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("random") / "small.gguf", SMALL, seed=1)


def test_opens_with_the_shape_that_was_asked_for(path: Path) -> None:
    source = open_model(path)
    config = source.config
    assert (config.num_layers, config.hidden_size, config.intermediate_size) == (2, 64, 128)
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (4, 2, 16)
    assert (config.vocab_size, config.context_length) == (512, 256)
    assert config.tie_word_embeddings
    assert source.tensors["model.layers.1.mlp.down_proj.weight"].dtype is DType.Q4_1
    assert source.tensors["model.embed_tokens.weight"].dtype is DType.Q8_0


def test_large_shape_is_what_the_comparison_says_it_is() -> None:
    key_width = LLAMA_1_4B.head_width * LLAMA_1_4B.key_value_heads
    layer = LLAMA_1_4B.width * (2 * LLAMA_1_4B.width + 2 * key_width + 3 * LLAMA_1_4B.intermediate)
    embedding = LLAMA_1_4B.vocabulary * LLAMA_1_4B.width
    assert LLAMA_1_4B.layers * layer + embedding == pytest.approx(1.41e9, rel=0.01)
    assert LLAMA_1_4B.layers * layer * 20 / 32 + embedding * 34 / 32 == pytest.approx(926e6, rel=0.001)


def test_matrices_deviate_so_that_activations_keep_their_size(path: Path) -> None:
    tensors = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
    for name, columns, factor in (
        ("blk.0.ffn_up.weight", 64, 1),
        ("blk.1.ffn_down.weight", 128, 1),
        ("token_embd.weight", 64, 4),
    ):
        weights = dequantize(tensors[name].data, tensors[name].tensor_type)
        assert np.std(weights) == pytest.approx(factor / np.sqrt(columns), rel=0.15), name
        assert abs(np.mean(weights)) < 0.05 * factor, name


def test_its_tokenizer_writes_any_text(path: Path) -> None:
    tokenizer = Tokenizer.from_source(open_model(path).tokenizer)
    text = "Grüße, 你好 🙂\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.eos_token_ids == (2,)


def test_same_seed_same_file(path: Path, tmp_path: Path) -> None:
    again = write_random_model(tmp_path / "small.gguf", SMALL, seed=1)
    other = write_random_model(tmp_path / "other.gguf", SMALL, seed=2)
    assert again.read_bytes() == path.read_bytes()
    assert other.read_bytes() != path.read_bytes()


@pytest.mark.parametrize("vocabulary", [259, 65_796])
def test_vocabulary_without_room_is_refused(tmp_path: Path, vocabulary: int) -> None:
    shape = ModelShape(1, 64, 4, 2, 128, vocabulary)
    with pytest.raises(ValueError, match=f"vocabulary is {vocabulary}; it must be from 260 to 65,795"):
        write_random_model(tmp_path / "wrong.gguf", shape)
    assert not (tmp_path / "wrong.gguf").exists()


def test_width_that_blocks_do_not_divide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a row has 60 elements"):
        write_random_model(tmp_path / "wrong.gguf", ModelShape(1, 60, 4, 2, 128, 512))
