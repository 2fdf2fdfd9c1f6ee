"""Text is cut as each kind of byte-level vocabulary was trained to be."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.models.source import TokenizerSource
from sidecar.text.pre_tokenizers import byte_level_pre_tokenizer, cutting_of
from sidecar.text.tokenizer import Tokenizer
from tests.support.tiny_tokenizer import CONTROL_TOKENS, tiny_tokenizer
from tests.text.conftest import gguf_source
from tests.text.corpus import CORPUS


@pytest.mark.parametrize(
    "pre", ["default", "gpt-2", "smollm", "llama-bpe", "smaug-bpe", "qwen2", "deepseek-r1-qwen", "tekken"]
)
def test_every_known_cutting_loses_nothing(pre: str) -> None:
    tokenizer = Tokenizer.from_source(dataclasses.replace(gguf_source(tiny_tokenizer()), pre=pre))
    for text in CORPUS[:-3]:
        expected = text.replace("e\u0301", "é") if "qwen" in pre else text
        assert tokenizer.decode(tokenizer.encode(text)) == expected


@pytest.mark.parametrize(
    ("pre", "words"),
    [
        ("gpt-2", ["It", "'s", " 12345", "  ", " I", "'", "LL", "\n\n", " x"]),
        ("smollm", ["It", "'s", " ", "1", "2", "3", "4", "5", "  ", " I", "'", "LL", "\n\n", " x"]),
        ("llama-bpe", ["It", "'s", " ", "123", "45", "  ", " I", "'LL", "\n\n", " x"]),
        ("qwen2", ["It", "'s", " ", "1", "2", "3", "4", "5", "  ", " I", "'LL", "\n\n", " x"]),
        ("tekken", ["It", "'s", " ", "1", "2", "3", "4", "5", "  ", " I", "'LL", "\n\n", " x"]),
    ],
)
def test_text_is_cut_as_each_vocabulary_was_trained(pre: str, words: list[str]) -> None:
    text = "It's 12345   I'LL\n\n x"
    cut = byte_level_pre_tokenizer(cutting_of(pre)).pre_tokenize_str(text)
    assert [text[begin:end] for _, (begin, end) in cut] == words


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Tokenizer, Tokenizer]:
    """transformers' Qwen2 tokenizer, and ours for the same vocabulary from GGUF fields and tokenizer.json."""
    from transformers import Qwen2Tokenizer

    tiny = tiny_tokenizer()
    vocabulary = {token: index for index, token in enumerate(tiny.tokens)}
    theirs = Qwen2Tokenizer(vocab=vocabulary, merges=[tuple(merge.split(" ")) for merge in tiny.merges])
    theirs.add_special_tokens({"extra_special_tokens": list(CONTROL_TOKENS)})
    path = tmp_path_factory.mktemp("qwen") / "tokenizer.json"
    theirs.backend_tokenizer.save(str(path))
    fields = dataclasses.replace(gguf_source(tiny), pre="qwen2")
    return theirs, Tokenizer.from_source(fields), Tokenizer.from_source(TokenizerSource(json_path=path))


@settings(max_examples=300, deadline=None)
@given(text=st.sampled_from(CORPUS) | st.text(alphabet=" \n\r\t'slLd019²é\u0301_.<|im_end|>你", max_size=60))
def test_qwen_ids_equal_those_of_transformers(text: str, qwen: tuple[Any, Tokenizer, Tokenizer]) -> None:
    theirs, from_gguf, from_json = qwen
    expected = theirs(text, add_special_tokens=False).input_ids
    assert from_gguf.encode(text, parse_special=True) == expected
    assert from_json.encode(text, parse_special=True) == expected
