"""Stop strings are found wherever the text is cut, and nothing else is held back."""

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidecar.errors import InvalidParams
from sidecar.text.stops import StopMatch, StopMatcher

LETTERS = st.text(alphabet="ab<|", max_size=30)
STOPS = st.lists(st.text(alphabet="ab<|", min_size=1, max_size=5), max_size=4)


def naive(text: str, stops: list[str]) -> tuple[str, str | None]:
    """Letter by letter: the first moment at which the text so far ends in a stop string."""
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            longest = max(ending, key=len)
            return text[: end - len(longest)], longest
    return text, None


@settings(max_examples=1000)
@given(text=LETTERS, stops=STOPS, cuts=st.lists(st.integers(0, 30), max_size=8))
@example(text="aab", stops=["ab", "aabb"], cuts=[1, 2])
def test_any_cut_finds_what_a_naive_search_finds(text: str, stops: list[str], cuts: list[int]) -> None:
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    matcher = StopMatcher(stops)
    shown, matched = "", None
    for begin, end in itertools.pairwise(edges):
        match = matcher.push(text[begin:end])
        shown += match.text
        matched = match.matched
        if matched is not None:
            break
    assert (shown + matcher.flush(), matched) == naive(text, stops)


@settings(max_examples=500)
@given(text=LETTERS, stops=STOPS)
def test_only_what_may_begin_a_stop_string_is_held(text: str, stops: list[str]) -> None:
    matcher = StopMatcher(stops)
    shown = ""
    for end, letter in enumerate(text, start=1):
        match = matcher.push(letter)
        shown += match.text
        if match.matched is not None:
            return
        held = text[len(shown) : end]
        assert held == "" or any(stop.startswith(held) for stop in stops)


def test_of_two_that_end_together_the_longer_wins() -> None:
    assert StopMatcher(["b", "ab"]).push("xab!") == StopMatch("x", "ab")


def test_nothing_is_held_without_stop_strings() -> None:
    assert StopMatcher([]).push("text") == StopMatch("text")


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(InvalidParams):
        StopMatcher(["a", ""])
