import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.engine.postprocess import ChoiceWriter
from sidecar.executors.scripted import END_OF_TEXT, TURN_END, VOCAB_SIZE, scripted_model
from sidecar.generation import (
    FinishReason,
    GenerationParams,
    SampledLogprobs,
    TokenConstraint,
    TokenLogprob,
)
from sidecar.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.from_source(scripted_model().tokenizer)


def writer(
    params: GenerationParams, *, max_tokens: int = 100, constraint: TokenConstraint | None = None
) -> ChoiceWriter:
    return ChoiceWriter(
        request_id="r",
        index=0,
        prompt_tokens=[1, 2],
        params=params,
        max_tokens=max_tokens,
        tokenizer=TOKENIZER,
        eos_token_ids=(TURN_END, END_OF_TEXT),
        vocab_size=VOCAB_SIZE,
        constraint=constraint,
    )


def write(choice: ChoiceWriter, text: bytes) -> list[str]:
    """Take the bytes as tokens until the choice ends; the chunks' texts."""
    texts = []
    for token_id in text:
        choice.take(token_id, None)
        texts.append(choice.take_chunk().text)
        if choice.finish_reason is not None:
            break
    return texts


def test_an_end_of_sequence_token_ends_the_choice_and_is_not_in_the_text() -> None:
    choice = writer(GenerationParams(skip_special_tokens=False))
    write(choice, b"hi")
    choice.take(TURN_END, None)
    finished = choice.choice()
    assert finished.text == "hi"
    assert finished.token_ids == (104, 105, TURN_END)
    assert finished.finish_reason is FinishReason.STOP
    assert finished.matched_stop == TURN_END


def test_ignore_eos_goes_on() -> None:
    choice = writer(GenerationParams(ignore_eos=True), max_tokens=3)
    for token_id in (104, TURN_END, 105):
        choice.take(token_id, None)
    assert choice.choice().text == "hi"
    assert choice.finish_reason is FinishReason.LENGTH


def test_a_stop_token_of_the_request_ends_the_choice() -> None:
    choice = writer(GenerationParams(stop_token_ids=(33,), ignore_eos=True))
    write(choice, b"hi!")
    assert choice.choice().text == "hi"
    assert choice.finish_reason is FinishReason.STOP_SEQUENCE
    assert choice.choice().matched_stop == 33


def test_no_chunk_shows_a_part_of_a_stop_string_that_spans_tokens() -> None:
    choice = writer(GenerationParams(stop=("</end>",)))
    assert write(choice, b"a<b</end> tail") == ["a", "", "<b", "", "", "", "", "", ""]
    finished = choice.choice()
    assert finished.text == "a<b"
    assert finished.finish_reason is FinishReason.STOP_SEQUENCE
    assert finished.matched_stop == "</end>"
    assert bytes(finished.token_ids) == b"a<b</end>"


@pytest.mark.parametrize(
    ("reason", "token"), [(FinishReason.LENGTH, None), (FinishReason.STOP, TURN_END), ("cancel", None)]
)
def test_what_only_began_like_a_stop_string_is_in_the_text(
    reason: FinishReason | str, token: int | None
) -> None:
    choice = writer(GenerationParams(stop=("</end>",)), max_tokens=4 if reason is FinishReason.LENGTH else 9)
    write(choice, b"ab</")
    if token is not None:
        choice.take(token, None)
    elif reason == "cancel":
        choice.finish(FinishReason.CANCELLED)
    assert choice.choice().text == "ab</"


def test_an_unfinished_character_is_held_back_and_replaced_at_the_end() -> None:
    choice = writer(GenerationParams(), max_tokens=4)
    assert write(choice, "é".encode()) == ["", "é"]
    assert write(choice, "h€".encode()) == ["h", "\N{REPLACEMENT CHARACTER}"]


def test_min_tokens_forbids_and_overlooks_what_would_end_the_choice() -> None:
    choice = writer(GenerationParams(min_tokens=3, stop=("b",), stop_token_ids=(33,)))
    assert list(choice.forbidden_ids) == [33, END_OF_TEXT, TURN_END]
    assert write(choice, b"acb") == ["a", "c", "b"]
    assert list(choice.forbidden_ids) == []
    assert write(choice, b"ab") == ["a", ""]
    assert choice.choice().text == "acba"


def test_ignored_ends_are_not_forbidden() -> None:
    assert list(writer(GenerationParams(min_tokens=3, ignore_eos=True)).forbidden_ids) == []


def test_logprobs_are_aligned_with_tokens_in_chunks_and_choice() -> None:
    choice = writer(GenerationParams(logprobs=True, stop=("xyz",)), max_tokens=3)
    given_logprobs = [SampledLogprobs(TokenLogprob(token_id, -0.1)) for token_id in b"xya"]
    sent: list[SampledLogprobs] = []
    for token_id, logprobs in zip(b"xya", given_logprobs, strict=True):
        choice.take(token_id, logprobs)
        chunk = choice.take_chunk()
        assert len(chunk.logprobs) == len(chunk.token_ids) == 1
        sent += chunk.logprobs
    assert sent == given_logprobs == list(choice.choice().logprobs)


def test_a_chunk_after_the_end_has_nothing_new() -> None:
    choice = writer(GenerationParams(), max_tokens=1)
    assert not choice.has_news
    write(choice, b"a")
    assert not choice.has_news
    choice = writer(GenerationParams())
    choice.finish(FinishReason.CANCELLED)
    assert choice.has_news
    assert choice.take_chunk().finish_reason is FinishReason.CANCELLED
    assert not choice.has_news


@given(st.text(alphabet="ab<", max_size=30), st.lists(st.text("ab<", min_size=1, max_size=4), max_size=3))
def test_text_ends_where_the_stop_string_begins_that_is_complete_first(text: str, stops: list[str]) -> None:
    choice = writer(GenerationParams(stop=tuple(stops)), max_tokens=1000)
    chunks = write(choice, text.encode())
    if choice.finish_reason is None:
        choice.finish(FinishReason.CANCELLED)
        chunks.append(choice.take_chunk().text)
    found = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    _, begins = min(found, default=(0, len(text)))
    assert "".join(chunks) == choice.choice().text == text[:begins]
    assert (choice.finish_reason is FinishReason.STOP_SEQUENCE) == bool(found)


class Word:
    """Allows the letters of a word, one after the other."""

    def __init__(self, word: bytes) -> None:
        self._left = list(word)

    def fill_mask(self, mask: memoryview) -> None:
        mask[:] = bytes(len(mask))
        mask[self._left[0] // 8] = 1 << self._left[0] % 8

    def advance(self, token_id: int) -> None:
        assert token_id == self._left.pop(0)

    def is_complete(self) -> bool:
        return not self._left


def test_a_constraint_gives_masks_hears_of_tokens_and_ends_the_choice() -> None:
    choice = writer(GenerationParams(), constraint=Word(b"ab"))
    mask = choice.next_mask()
    assert mask is not None
    assert len(mask) == -(-VOCAB_SIZE // 32) * 4
    assert [index for index in range(len(mask) * 8) if mask[index // 8] >> index % 8 & 1] == [ord("a")]
    write(choice, b"ab")
    assert choice.finish_reason is FinishReason.STOP
    assert choice.choice().text == "ab"


def test_without_a_constraint_there_is_no_mask() -> None:
    assert writer(GenerationParams()).next_mask() is None


def test_penalty_counts_are_kept_only_when_a_penalty_is_asked_for() -> None:
    plain, penalised = writer(GenerationParams()), writer(GenerationParams(repetition_penalty=1.1))
    for choice in (plain, penalised):
        choice.take(2, None)
    assert plain.penalty_counts == {}
    assert penalised.penalty_counts == {1: (0, True), 2: (1, True)}
