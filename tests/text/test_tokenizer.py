"""Tokenizers built from GGUF fields and from tokenizer.json give the ids that the model was trained on."""

import dataclasses
import gc
import itertools
import json
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidecar.errors import InvalidModelFile, InvalidParams, ModelLoadFailed, Unsupported
from sidecar.models.open import open_model
from sidecar.models.source import TokenizerSource
from sidecar.text.tokenizer import TextPiece, Tokenizer
from tests.support.default_model import default_model_path
from tests.support.sentencepiece import BOS, sentencepiece_source
from tests.support.tiny_tokenizer import CONTROL_TOKENS, TURN_BEGIN, TURN_END, tiny_tokenizer
from tests.text.conftest import gguf_source
from tests.text.corpus import CORPUS


@pytest.mark.model
@pytest.mark.parametrize("text", CORPUS)
def test_ids_equal_those_of_transformers(text: str, default_tokenizer: Tokenizer, reference: Any) -> None:
    expected = reference(text, add_special_tokens=False).input_ids
    assert default_tokenizer.encode(text, parse_special=True) == expected
    assert default_tokenizer.decode(expected, skip_special_tokens=False) == text


@pytest.mark.model
@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=60) | st.text(alphabet=" \n\t'slLmdve019aé.<|im_start|>", max_size=60))
@example(text="  1")
def test_ids_equal_those_of_transformers_for_any_text(
    text: str, default_tokenizer: Tokenizer, reference: Any
) -> None:
    ids = default_tokenizer.encode(text, parse_special=True)
    assert ids == reference(text, add_special_tokens=False).input_ids
    for skips in (True, False):
        assert default_tokenizer.decode(ids, skip_special_tokens=skips) == reference.decode(
            ids, skip_special_tokens=skips
        )


@pytest.mark.model
def test_building_the_default_tokenizer_is_quick() -> None:
    source = open_model(default_model_path()).tokenizer
    begin = time.perf_counter()
    tokenizer = Tokenizer.from_source(source)
    assert time.perf_counter() - begin < 1.5
    assert (tokenizer.vocab_size, tokenizer.bos_token_id, tokenizer.eos_token_ids) == (49152, 1, (2,))
    assert not tokenizer.adds_bos


@settings(max_examples=300, deadline=None)
@given(text=st.text())
def test_gguf_and_json_agree_and_nothing_is_lost(text: str, tiny: Tokenizer, tiny_json: Tokenizer) -> None:
    ids = tiny.encode(text)
    assert ids == tiny_json.encode(text)
    assert tiny.decode(ids) == tiny_json.decode(ids) == text


def any_tokenizer(name: str, tiny: Tokenizer) -> Tokenizer:
    return tiny if name == "byte level" else Tokenizer.from_source(sentencepiece_source(add_bos=False))


@pytest.mark.parametrize("name", ["byte level", "sentencepiece"])
@settings(max_examples=200, deadline=None)
@given(parts=st.lists(st.sampled_from([*CONTROL_TOKENS, "<s>", "</s>", "<unk>"]) | st.text(max_size=4)))
def test_plain_text_never_becomes_a_control_token(name: str, tiny: Tokenizer, parts: list[str]) -> None:
    tokenizer = any_tokenizer(name, tiny)
    text = "".join(parts)
    ids = tokenizer.encode(text)
    assert tokenizer.special_token_ids.isdisjoint(ids)
    assert tokenizer.decode(ids) == (
        text if name == "byte level" else text.replace("▁", " ").removeprefix(" ")
    )


def test_control_tokens_are_parsed_only_on_request(tiny: Tokenizer) -> None:
    text = "<|im_start|>user\nhi<|im_end|>"
    ids = tiny.encode(text, parse_special=True)
    assert (ids[0], ids[-1]) == (TURN_BEGIN, TURN_END)
    assert tiny.decode(ids) == "user\nhi"
    assert tiny.decode(ids, skip_special_tokens=False) == text
    pieces = [
        TextPiece("<|im_start|>a ", True),
        TextPiece("<|im_end|>", False),
        TextPiece(" b<|im_end|>", True),
    ]
    ids = tiny.encode_pieces(pieces)
    assert [ids[0], ids[-1]] == [TURN_BEGIN, TURN_END]
    assert ids.count(TURN_END) == 1
    assert tiny.decode(ids) == "a <|im_end|> b"


def test_tokens_are_described(tiny: Tokenizer) -> None:
    space_t = tiny.encode(" t")
    assert [tiny.token_text(token) for token in space_t] == ["Ġt"]
    assert tiny.token_bytes(space_t[0]) == b" t"
    assert tiny.token_bytes(tiny.encode("é".encode()[:1].decode("latin-1"))[0]) == "Ã".encode()[:1]
    assert tiny.token_bytes(TURN_END) == b"<|im_end|>"
    assert tiny.is_special(TURN_END)
    assert not tiny.is_special(space_t[0])
    assert set(CONTROL_TOKENS) <= set(tiny.control_token_texts())


@pytest.mark.parametrize("token_id", [-1, 512, 2**40])
def test_ids_out_of_range_are_refused(tiny: Tokenizer, token_id: int) -> None:
    for call in (tiny.token_bytes, tiny.token_text, tiny.is_special, lambda token: tiny.decode([token])):
        with pytest.raises(InvalidParams, match="out of range; the vocabulary has 512 tokens"):
            call(token_id)


def test_ids_that_only_pad_the_embedding_have_no_text() -> None:
    tokenizer = Tokenizer.from_source(gguf_source(tiny_tokenizer()), vocab_size=600)
    assert (tokenizer.vocab_size, tokenizer.decode([599]), tokenizer.token_text(599)) == (600, "", "")


def test_bytes_that_are_no_text_become_replacement_characters(tiny: Tokenizer) -> None:
    half = tiny.encode("🙂")[:-1]
    assert tiny.decode(half) == "\ufffd"


def test_bos_is_added_as_the_model_says_or_the_caller(tiny: Tokenizer) -> None:
    assert tiny.encode("hi", add_bos=True) == [TURN_BEGIN, *tiny.encode("hi")]
    sentencepiece = Tokenizer.from_source(sentencepiece_source())
    assert sentencepiece.encode("hello")[0] == BOS
    assert BOS not in sentencepiece.encode("hello", add_bos=False)
    without = Tokenizer.from_source(dataclasses.replace(gguf_source(tiny_tokenizer()), bos_token_id=None))
    with pytest.raises(InvalidParams, match="no BOS token"):
        without.encode("hi", add_bos=True)


def test_a_lone_surrogate_is_refused(tiny: Tokenizer) -> None:
    with pytest.raises(InvalidParams, match="surrogate"):
        tiny.encode("a\ud800b")


@pytest.mark.parametrize("add_space_prefix", [True, False])
@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="hello wordtcaSTH<>s/0é你🙂\n ", max_size=40))
@example(text="<s> hello</s> world")
@example(text="  two")
def test_sentencepiece_equals_transformers(add_space_prefix: bool, text: str) -> None:
    from transformers import LlamaTokenizer
    from transformers.tokenization_utils_base import generate_merges

    source = sentencepiece_source(add_space_prefix=add_space_prefix, add_bos=False)
    vocabulary = {token: index for index, token in enumerate(source.tokens)}
    merges = generate_merges(vocabulary, dict(zip(source.tokens, source.scores, strict=True)))
    theirs = LlamaTokenizer(vocab=vocabulary, merges=merges, add_prefix_space=add_space_prefix)
    theirs.add_tokens(["<think>"])
    ours = Tokenizer.from_source(source)
    ids = ours.encode(text, parse_special=True)
    assert ids == theirs(text, add_special_tokens=False).input_ids
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)


def test_sentencepiece_takes_its_space_off_again_and_falls_back_to_bytes() -> None:
    tokenizer = Tokenizer.from_source(sentencepiece_source(add_bos=False))
    ids = tokenizer.encode("hello ü")
    assert tokenizer.token_bytes(ids[0]) == b" hello"
    assert tokenizer.token_bytes(ids[-1]) == "ü".encode()[-1:]
    assert tokenizer.decode(ids) == "hello ü"
    pieces = [TextPiece("<s>hello ", True), TextPiece("</s>", False), TextPiece("world</s>", True)]
    assert tokenizer.decode(tokenizer.encode_pieces(pieces)) == "hello </s>world"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"pre": "made-up"}, r"pre-tokenizer 'made-up' is not supported; supported: default"),
        ({"model": "t5"}, r"kind 't5' is not supported; supported: gpt2, llama"),
        ({"tokens": ()}, r"no tokenizer"),
    ],
)
def test_an_unknown_kind_is_named(change: dict[str, Any], match: str) -> None:
    with pytest.raises(Unsupported, match=match):
        Tokenizer.from_source(dataclasses.replace(gguf_source(tiny_tokenizer()), **change))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"merges": ("nospace",)}, r"merge 0 is 'nospace'"),
        ({"merges": ("Ġ notatoken",)}, r"merge 0"),
        ({"tokens": ("a", "b", "c", "a"), "token_types": ()}, r"'a' stands twice"),
        ({"tokens": ("a", "b"), "token_types": ()}, r"token id 2 .* vocabulary of 2"),
        ({"tokens": ("a", "b", ""), "merges": (), "token_types": (1, 1, 3)}, r"is empty"),
        ({"model": "llama", "merges": ()}, r"needs merges, or a score"),
        ({"tokens": ("a", "b", "c"), "merges": (), "token_types": (1, 1, 1)}, r"control token 'b'"),
    ],
)
def test_unsound_fields_are_refused(change: dict[str, Any], match: str) -> None:
    with pytest.raises(ModelLoadFailed, match=match):
        Tokenizer.from_source(dataclasses.replace(gguf_source(tiny_tokenizer()), **change))


def test_unsound_tokenizer_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    source = TokenizerSource(json_path=path)
    with pytest.raises(InvalidModelFile, match="is not there"):
        Tokenizer.from_source(source)
    path.write_text("{}")
    with pytest.raises((InvalidModelFile, Unsupported)):
        Tokenizer.from_source(source)
    document = json.loads(tiny_tokenizer().json)
    path.write_text(
        json.dumps({**document, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}})
    )
    with pytest.raises(Unsupported, match="decoder WordPiece"):
        Tokenizer.from_source(source)


def test_a_sentencepiece_tokenizer_json(tmp_path: Path) -> None:
    from transformers import LlamaTokenizer
    from transformers.tokenization_utils_base import generate_merges

    fields = sentencepiece_source(add_bos=False)
    vocabulary = {token: index for index, token in enumerate(fields.tokens)}
    merges = generate_merges(vocabulary, dict(zip(fields.tokens, fields.scores, strict=True)))
    theirs = LlamaTokenizer(vocab=vocabulary, merges=merges)
    path = tmp_path / "tokenizer.json"
    theirs.backend_tokenizer.save(str(path))
    ours = Tokenizer.from_source(TokenizerSource(json_path=path, bos_token_id=BOS, eos_token_ids=(2,)))
    for text in ("hello world", " hello", "ü</s>the cat"):
        ids = ours.encode(text, parse_special=True, add_bos=False)
        assert ids == theirs(text, add_special_tokens=False).input_ids
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)
    pieces = [TextPiece("hello ", True), TextPiece("</s>", False), TextPiece("world", True)]
    assert ours.decode(ours.encode_pieces(pieces)) == "hello </s>world"


@pytest.mark.parametrize("kind", ["gguf", "json"])
def test_a_tokenizer_that_is_gone_leaves_nothing_behind(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(tiny_tokenizer().json)
    source = gguf_source(tiny_tokenizer()) if kind == "gguf" else TokenizerSource(json_path=path)
    text = " ".join(map("".join, itertools.islice(itertools.permutations("abcdefghij", 6), 10_000)))
    resident: list[int] = []
    for _ in range(10):
        Tokenizer.from_source(source).encode(text)
        gc.collect()
        resident.append(psutil.Process().memory_info().rss)
    assert resident[-1] - resident[1] < 10 * 2**20
