import pytest

from sidecar.engine.admission import Admission, admit
from sidecar.errors import ContextOverflow, InvalidParams
from sidecar.generation import GenerationParams, OverflowPolicy


def taken(length: int, params: GenerationParams, context_length: int = 100) -> Admission:
    return admit(range(length), params, context_length=context_length, vocab_size=1000)


def test_without_max_tokens_the_rest_of_the_context_may_follow() -> None:
    assert taken(60, GenerationParams()).max_tokens == 40
    assert taken(60, GenerationParams(max_tokens=90)).max_tokens == 40
    assert taken(60, GenerationParams(max_tokens=9)).max_tokens == 9


def test_a_prompt_must_leave_room_for_one_token() -> None:
    assert taken(99, GenerationParams()).max_tokens == 1
    with pytest.raises(ContextOverflow, match="the prompt has 100 tokens") as caught:
        taken(100, GenerationParams())
    assert caught.value.data == {"prompt_tokens": 100, "context_length": 100}


def test_truncate_middle_keeps_both_ends_and_room_for_the_answer() -> None:
    admission = taken(500, GenerationParams(max_tokens=20, overflow=OverflowPolicy.TRUNCATE_MIDDLE))
    assert list(admission.prompt_tokens) == [*range(40), *range(460, 500)]
    assert admission.dropped_tokens == 420
    assert admission.max_tokens == 20


def test_truncate_middle_gives_an_answer_without_limit_a_quarter_and_no_answer_more_than_half() -> None:
    overflow = OverflowPolicy.TRUNCATE_MIDDLE
    assert taken(500, GenerationParams(overflow=overflow)).max_tokens == 25
    assert taken(500, GenerationParams(max_tokens=99, overflow=overflow)).max_tokens == 50


def test_truncate_middle_leaves_a_prompt_that_fits_alone() -> None:
    admission = taken(99, GenerationParams(max_tokens=20, overflow=OverflowPolicy.TRUNCATE_MIDDLE))
    assert (len(admission.prompt_tokens), admission.dropped_tokens) == (99, 0)


def test_stop_at_limit_takes_a_prompt_that_leaves_no_room() -> None:
    admission = taken(300, GenerationParams(overflow=OverflowPolicy.STOP_AT_LIMIT))
    assert (len(admission.prompt_tokens), admission.max_tokens) == (300, 0)


@pytest.mark.parametrize("context_length", [1, 2, 3])
def test_truncation_works_in_the_smallest_context(context_length: int) -> None:
    params = GenerationParams(overflow=OverflowPolicy.TRUNCATE_MIDDLE)
    admission = taken(10, params, context_length)
    assert 1 <= len(admission.prompt_tokens) <= max(1, context_length - 1)


@pytest.mark.parametrize(
    ("prompt", "params", "parameter"),
    [
        ([], GenerationParams(), "prompt_tokens"),
        ([5, 1000], GenerationParams(), "prompt_tokens"),
        ([-1], GenerationParams(), "prompt_tokens"),
        ([1], GenerationParams(stop_token_ids=(1000,)), "stop_token_ids"),
        ([1], GenerationParams(logit_bias={1000: 1.0}), "logit_bias"),
    ],
)
def test_tokens_that_the_model_does_not_have_are_refused(
    prompt: list[int], params: GenerationParams, parameter: str
) -> None:
    with pytest.raises(InvalidParams) as caught:
        admit(prompt, params, context_length=100, vocab_size=1000)
    assert caught.value.parameter == parameter
