"""The comparison's cases: names, prompts, goals."""

import json

import pytest

from benchmarks.peers.cases import (
    Case,
    arrival,
    cache_tokens,
    decode,
    left_out,
    prefill,
    prompts_of,
    random_prompt,
)
from benchmarks.peers.contestants import Goals


def test_cases_survive_the_wire() -> None:
    case = decode(8, 1024, 48)
    assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case
    assert case.name == "decode, 8 streams, context 1,024"
    with pytest.raises(ValueError, match="not a case"):
        Case.from_json({"kind": "decode"})


def test_prompts_are_the_same_for_the_same_name_and_within_the_vocabulary() -> None:
    prompt = random_prompt(200, 512, name="stream 0")
    assert prompt == random_prompt(200, 512, name="stream 0")
    assert prompt != random_prompt(200, 512, name="stream 1")
    assert all(256 <= token < 512 for token in prompt)


def test_a_longer_prompt_begins_with_the_shorter_one() -> None:
    assert random_prompt(200, 512, name="stream 0")[:64] == random_prompt(64, 512, name="stream 0")


def test_streams_keep_their_prompts_and_what_is_timed_is_new() -> None:
    assert prompts_of(decode(8, 64, 4), 0, 512) == prompts_of(decode(8, 64, 9), 3, 512)
    assert prompts_of(arrival(8, 512), 0, 512)[:-1] == prompts_of(decode(8, 64, 4), 0, 512)
    newcomers = [prompts_of(arrival(8, 512), number, 512)[-1] for number in (0, 1)]
    prefills = [
        prompt
        for number in (0, 1)
        for case in (prefill(32, 2), prefill(512, 2))
        for prompt in prompts_of(case, number, 512)
    ]
    beginnings = {tuple(prompt[:16]) for prompt in (*newcomers, *prefills)}
    assert len(beginnings) == 10


def test_cases_that_are_not_measured_are_named() -> None:
    assert left_out([decode(1, 64, 8)], [decode(1, 64, 192), prefill(4000, 1)]) == ["prefill 4,000 tokens"]


def test_cache_holds_every_prompt_at_once() -> None:
    cases = [decode(8, 64, 16), prefill(4000, 1)]
    assert cache_tokens(cases) > 8 * (64 + 16) + 4000
    assert cache_tokens([]) == 0


@pytest.mark.parametrize(
    ("case", "goal"),
    [
        (decode(1, 64, 8), 1.0),
        (decode(8, 64, 8), 2.0),
        (prefill(32, 1), 3.0),
        (decode(1, 4096, 8), 4.0),
        (decode(1, 1024, 8), 1.0),
        (arrival(8, 512), None),
    ],
)
def test_each_case_has_its_goal(case: Case, goal: float | None) -> None:
    assert Goals(1.0, 2.0, 3.0, 4.0).of(case) == goal
