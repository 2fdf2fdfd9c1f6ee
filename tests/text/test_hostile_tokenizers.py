"""Tokenizers from files that are corrupt or made to hurt: a tokenizer that works, or a typed error."""

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.errors import InvalidModelFile, ModelLoadFailed, Unsupported
from sidecar.models.open import open_model
from sidecar.models.source import TokenizerSource
from sidecar.text.tokenizer import Tokenizer
from tests.support.gguf_writer import write_tiny_llama
from tests.support.tiny_tokenizer import tiny_tokenizer

TEXT = "hello <|im_end|> world 🙂 1234 <s></s>"
VALUES: list[Any] = [
    None,
    0,
    -1,
    2**31,
    2**64,
    1.5,
    "",
    "x",
    "<|im_end|>",
    [],
    {},
    ["a", "b"],
    True,
    "\0",
    [["a"]],
]
FAILURES = (InvalidModelFile, ModelLoadFailed, Unsupported)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


def use(source: TokenizerSource) -> None:
    """Build it and go there and back. Any error but the typed ones fails the test."""
    try:
        tokenizer = Tokenizer.from_source(source)
    except FAILURES:
        return
    ids = tokenizer.encode(TEXT)
    assert tokenizer.special_token_ids.isdisjoint(ids[1:])
    assert isinstance(tokenizer.decode(ids), str)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to the values of a JSON document; of long collections the first few."""
    children = (
        list(node.items())
        if isinstance(node, dict)
        else list(enumerate(node))
        if isinstance(node, list)
        else []
    )
    found = [path] if path else []
    for key, child in children[:12]:
        found += places(child, (*path, key))
    return found


def put(document: Any, path: tuple[Any, ...], value: Any) -> None:
    """Set a value, unless an earlier change took its place away."""
    node = document
    with contextlib.suppress(KeyError, IndexError, TypeError):
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value


DOCUMENT = json.loads(tiny_tokenizer(300).json)
PLACES = places(DOCUMENT)


@settings(max_examples=400, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(VALUES)), min_size=1, max_size=3))
def test_changed_tokenizer_json(scratch: Path, changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes:
        put(document, path, copy.deepcopy(value))
    file = scratch / "tokenizer.json"
    file.write_text(json.dumps(document))
    use(TokenizerSource(json_path=file, bos_token_id=1, eos_token_ids=(2,)))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_changed_gguf_tokenizer(scratch: Path, data: st.DataObject) -> None:
    path = scratch / "original.gguf"
    if not path.exists():
        write_tiny_llama(path, layers=1, hidden=32, vocab=300, intermediate=32)
    content = bytearray(path.read_bytes())
    begin, end = content.index(b"tokenizer.ggml.tokens"), content.index(b"tokenizer.chat_template")
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(begin, end))] = data.draw(st.integers(0, 255))
    changed = scratch / "changed.gguf"
    changed.write_bytes(content)
    try:
        source = open_model(changed)
    except FAILURES:
        return
    use(source.tokenizer)
