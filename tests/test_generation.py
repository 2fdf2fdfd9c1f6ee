"""GenerationParams refuses what is out of range, by name."""

import dataclasses
import math

import pytest

from sidecar.errors import InvalidParams
from sidecar.generation import GenerationParams


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 0),
        ("max_tokens", -1),
        ("min_tokens", -1),
        ("temperature", -0.01),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("min_p", -0.1),
        ("typical_p", 0.0),
        ("repetition_penalty", 0.0),
        ("frequency_penalty", 2.1),
        ("presence_penalty", -2.1),
        ("repeat_last_n", -2),
        ("seed", -1),
        ("seed", 2**64),
        ("n", 0),
        ("n", 65),
        ("stop", ("",)),
        ("stop", ("x",) * 17),
        ("stop_token_ids", (-1,)),
        ("top_logprobs", 21),
        ("top_logprobs", 1),
    ],
)
def test_a_value_out_of_range_is_named_with_what_would_be_right(field: str, value: object) -> None:
    with pytest.raises(InvalidParams) as raised:
        dataclasses.replace(GenerationParams(), **{field: value})
    assert raised.value.parameter == field
    assert raised.value.message.startswith(f"{field} is ")
    assert "it must be" in raised.value.message


def test_limits_themselves_are_accepted() -> None:
    params = GenerationParams(
        max_tokens=1,
        min_tokens=1,
        temperature=0,
        top_p=1,
        min_p=1,
        repetition_penalty=100,
        seed=2**64 - 1,
        n=64,
        stop=("x",) * 16,
        logprobs=True,
        top_logprobs=20,
        logit_bias={0: -100.0},
    )
    assert params.max_tokens == 1


def test_min_tokens_above_max_tokens_and_bad_biases_are_refused() -> None:
    with pytest.raises(InvalidParams, match=r"min_tokens is 3; it must be at most max_tokens \(2\)"):
        GenerationParams(max_tokens=2, min_tokens=3)
    with pytest.raises(InvalidParams, match=r"logit_bias\[7\]"):
        GenerationParams(logit_bias={7: 100.5})


def test_a_long_value_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidParams) as raised:
        GenerationParams(stop=("x" * 100_000,) * 17)
    assert len(raised.value.message) < 400
    assert "it must be up to 16 strings" in raised.value.message
