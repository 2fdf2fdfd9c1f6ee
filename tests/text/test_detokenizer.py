"""Text that arrives token by token is the text of all tokens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.text.detokenizer import IncrementalDetokenizer
from sidecar.text.tokenizer import Tokenizer
from tests.support.sentencepiece import EOS, sentencepiece_source


@pytest.fixture(params=["byte level", "sentencepiece"], scope="module")
def tokenizer(request: pytest.FixtureRequest, tiny: Tokenizer) -> Tokenizer:
    return tiny if request.param == "byte level" else Tokenizer.from_source(sentencepiece_source())


@settings(max_examples=400, deadline=None)
@given(data=st.data(), skips=st.booleans())
def test_pieces_join_to_the_decoded_whole(tokenizer: Tokenizer, data: st.DataObject, skips: bool) -> None:
    low = st.integers(0, 270)
    token_ids = data.draw(st.lists(low | st.integers(0, tokenizer.vocab_size - 1), max_size=40))
    detokenizer = IncrementalDetokenizer(tokenizer, skip_special_tokens=skips)
    pieces = [detokenizer.push(token_id) for token_id in token_ids]
    pieces.append(detokenizer.flush())
    assert "".join(pieces) == tokenizer.decode(token_ids, skip_special_tokens=skips)


@given(text=st.text(max_size=20))
def test_a_character_is_never_split(tokenizer: Tokenizer, text: str) -> None:
    detokenizer = IncrementalDetokenizer(tokenizer)
    pieces = [detokenizer.push(token_id) for token_id in tokenizer.encode(text, add_bos=False)]
    assert "".join(pieces) == round_trip(tokenizer, text)
    assert detokenizer.flush() == ""


def round_trip(tokenizer: Tokenizer, text: str) -> str:
    """SentencePiece has one character for spaces, and takes a leading one for its own."""
    if not tokenizer.strips_leading_space:
        return text
    return text.replace("▁", " ").removeprefix(" ")


def test_a_sentencepiece_space_stays_when_a_text_is_continued() -> None:
    tokenizer = Tokenizer.from_source(sentencepiece_source(add_bos=False))
    [token_id] = tokenizer.encode("hello")
    assert IncrementalDetokenizer(tokenizer).push(token_id) == "hello"
    assert IncrementalDetokenizer(tokenizer, continues=True).push(token_id) == " hello"


def test_control_tokens_are_shown_on_request() -> None:
    tokenizer = Tokenizer.from_source(sentencepiece_source())
    assert IncrementalDetokenizer(tokenizer).push(EOS) == ""
    assert IncrementalDetokenizer(tokenizer, skip_special_tokens=False).push(EOS) == "</s>"
