"""An OpenAI request in the engine's terms."""

import msgspec
import pytest

from sidecar.errors import InvalidParams
from sidecar.generation import GenerationParams, Priority
from sidecar.openai.parameters import to_generation_params
from sidecar_protocol.chat import ChatCreate


def params(**fields: object) -> GenerationParams:
    return to_generation_params(
        msgspec.convert({"messages": [{"role": "user", "content": "hi"}], **fields}, ChatCreate)
    )


def test_defaults_are_the_engines_defaults() -> None:
    assert params() == GenerationParams()


def test_every_field_arrives() -> None:
    got = params(
        max_tokens=7, min_tokens=2, temperature=0.5, top_k=3, top_p=0.9, min_p=0.1, typical_p=0.8,
        repetition_penalty=1.1, frequency_penalty=0.2, presence_penalty=0.3, repeat_last_n=64,
        logit_bias={"5": -100}, seed=11, n=2, stop=["a", "b"], stop_token_ids=[9], ignore_eos=True,
        skip_special_tokens=False, logprobs=True, top_logprobs=4, priority="interactive",
    )  # fmt: skip
    assert got == GenerationParams(
        max_tokens=7, min_tokens=2, temperature=0.5, top_k=3, top_p=0.9, min_p=0.1, typical_p=0.8,
        repetition_penalty=1.1, frequency_penalty=0.2, presence_penalty=0.3, repeat_last_n=64,
        logit_bias={5: -100.0}, seed=11, n=2, stop=("a", "b"), stop_token_ids=(9,), ignore_eos=True,
        skip_special_tokens=False, logprobs=True, top_logprobs=4, priority=Priority.INTERACTIVE,
    )  # fmt: skip


def test_one_stop_string_needs_no_list() -> None:
    assert params(stop="END").stop == ("END",)


def test_max_completion_tokens_is_max_tokens() -> None:
    assert params(max_completion_tokens=3).max_tokens == 3
    with pytest.raises(InvalidParams, match="both max_tokens and max_completion_tokens"):
        params(max_tokens=3, max_completion_tokens=3)


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"max_tokens": 0}, "params.max_tokens"),
        ({"temperature": -0.1}, "params.temperature"),
        ({"top_p": 0}, "params.top_p"),
        ({"seed": -1}, "params.seed"),
        ({"stop": ""}, "params.stop"),
        ({"logit_bias": {"five": 1}}, "params.logit_bias"),
        ({"logit_bias": {"9" * 5000: 1}}, "params.logit_bias"),
        ({"logit_bias": {"5": 101}}, "params.logit_bias[5]"),
        ({"top_logprobs": 2}, "params.top_logprobs"),
    ],
)
def test_a_value_out_of_range_is_named_as_the_caller_wrote_it(
    fields: dict[str, object], parameter: str
) -> None:
    with pytest.raises(InvalidParams) as raised:
        params(**fields)
    assert raised.value.parameter == parameter
    assert raised.value.message.startswith("params.")
