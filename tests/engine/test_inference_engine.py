"""What one engine does for its requests, step by step."""

import pytest

from sidecar.errors import (
    Busy,
    Conflict,
    ContextOverflow,
    InternalError,
    InvalidParams,
    ModelNotLoaded,
)
from sidecar.executors.base import BLOCK_SIZE, ExecutionBatch
from sidecar.executors.scripted import TURN_END, Controls
from sidecar.generation import (
    FinishReason,
    GenerationParams,
    InferenceRequest,
    OverflowPolicy,
)
from tests.support.engine_requests import LETTERS, alphabet, chat, executor_of, finish, request
from tests.support.scripted import scripted_engine


def test_the_built_in_model_answers_a_chat() -> None:
    with scripted_engine() as engine:
        output = engine.generate(chat(engine, "count 5"))
    assert output.text == "1 2 3 4 5"
    assert output.finish_reason is FinishReason.STOP
    assert output.token_ids[-1] == TURN_END
    assert output.usage.completion_tokens == len(output.token_ids) == 10


def test_generate_stream_yields_every_piece_and_closing_it_frees_the_request() -> None:
    engine = scripted_engine(alphabet)
    chunks = list(engine.generate_stream(b"x", GenerationParams(max_tokens=4)))
    assert [chunk.text for chunk in chunks] == list("bcde")
    assert chunks[-1].finish_reason is FinishReason.LENGTH
    stream = engine.generate_stream(b"x", GenerationParams(max_tokens=400))
    assert next(stream).text == "b"
    stream.close()
    assert not engine.has_unfinished_requests()
    assert engine.step() == []
    engine.check_integrity()


def test_a_step_says_when_it_is_planned_and_before_it_computes() -> None:
    told: list[str] = []
    engine = scripted_engine(alphabet, Controls(lambda batch: told.append(f"{len(batch.rows)} rows")))
    engine.add_request(request(max_tokens=2))
    engine.step(lambda: told.append("planned"))
    assert told == ["planned", "1 rows"]


def test_what_generate_computes_for_other_requests_is_told_by_the_next_step() -> None:
    engine = scripted_engine(alphabet)
    engine.add_request(request(request_id="other", max_tokens=2))
    engine.generate(b"y", GenerationParams(max_tokens=5))
    outputs = engine.step()
    assert {output.request_id for output in outputs} == {"other"}
    assert outputs[-1].finished
    assert outputs[-1].text == "bc"


def test_a_request_tells_of_its_place_its_prompt_and_its_times() -> None:
    ticks = iter(range(10**6))
    engine = scripted_engine(
        alphabet, max_running_requests=1, max_batch_tokens=20, clock=lambda: float(next(ticks))
    )
    engine.add_request(request(b"p" * 50, "first", max_tokens=2))
    engine.add_request(request(b"q" * 3, "second", max_tokens=2))
    steps = [{output.request_id: output for output in engine.step()} for _ in range(3)]
    assert steps[0]["second"].queue_position == 0
    progress = [step["first"].prefill for step in steps]
    assert [(item.done, item.total) for item in progress if item is not None] == [(20, 50), (40, 50)]
    output = finish(engine)
    assert output["second"].queue_position is None
    timings = output["first"].timings
    assert timings.queued > 0
    assert timings.prefill > timings.decode > 0
    assert output["second"].timings.queued > output["first"].timings.queued


@pytest.mark.parametrize("prompt_length", [1, 15, 16, 17, 31, 32, 33])
def test_choices_of_one_prompt_are_independent(prompt_length: int) -> None:
    engine = scripted_engine(alphabet, max_batch_tokens=64)
    prompt = bytes(range(prompt_length))
    output = engine.generate(prompt, GenerationParams(n=3, max_tokens=20))
    for choice in output.choices:
        expected = bytes(LETTERS[(prompt_length + index + choice.index) % 26] for index in range(20))
        assert bytes(choice.token_ids) == expected
    assert output.usage.completion_tokens == 60
    assert executor_of(engine).computed_tokens == prompt_length + 2 + 3 * 19
    assert executor_of(engine).mismatches == []


def test_a_seed_is_the_same_for_all_choices_and_drawn_when_missing() -> None:
    seeds: list[tuple[int, int]] = []

    def note(batch: ExecutionBatch) -> None:
        seeds.extend((row.sampling.seed, row.sampling.choice) for row in batch.rows if row.sampling)

    engine = scripted_engine(alphabet, Controls(note))
    engine.generate(b"x", GenerationParams(max_tokens=1, n=2, seed=7))
    assert seeds == [(7, 0), (7, 1)]
    engine.generate(b"x", GenerationParams(max_tokens=1))
    engine.generate(b"x", GenerationParams(max_tokens=1))
    assert len({seed for seed, _ in seeds}) == 3


def test_a_known_prefix_spares_work_and_changes_nothing() -> None:
    engine = scripted_engine(alphabet)
    prompt = bytes(range(100))
    first = engine.generate(prompt, GenerationParams(max_tokens=10))
    before = executor_of(engine).computed_tokens
    second = engine.generate(prompt, GenerationParams(max_tokens=10))
    assert second.token_ids == first.token_ids
    assert (first.usage.cached_tokens, second.usage.cached_tokens) == (0, 96)
    assert executor_of(engine).computed_tokens - before == 4 + 9
    assert engine.stats().cached_prompt_tokens == 96
    follow_up = engine.generate([*prompt, *first.token_ids, 1, 2, 3], GenerationParams(max_tokens=2))
    assert follow_up.usage.cached_tokens == 96


def test_without_prefix_cache_everything_is_computed() -> None:
    engine = scripted_engine(alphabet, prefix_cache=False)
    for _ in range(2):
        assert engine.generate(bytes(100), GenerationParams(max_tokens=1)).usage.cached_tokens == 0
    assert executor_of(engine).computed_tokens == 200


def test_preempted_requests_end_with_the_tokens_they_get_alone() -> None:
    engine = scripted_engine(alphabet, blocks=6, context_length=90, max_batch_tokens=64)
    prompts = {name: name.encode() * 20 for name in "abcd"}
    for name, prompt in prompts.items():
        engine.add_request(request(prompt, name, max_tokens=60))
    outputs = finish(engine)
    assert engine.stats().preemptions > 0
    for name, prompt in prompts.items():
        alone = scripted_engine(alphabet).generate(prompt, GenerationParams(max_tokens=60))
        assert outputs[name].token_ids == alone.token_ids
        assert outputs[name].usage == alone.usage


def test_the_context_s_end_ends_a_choice() -> None:
    engine = scripted_engine(alphabet, context_length=40)
    output = engine.generate(bytes(30))
    assert output.finish_reason is FinishReason.LENGTH
    assert len(output.token_ids) == 10


def test_a_prompt_too_long_is_refused_cut_or_ends_at_once() -> None:
    engine = scripted_engine(alphabet, context_length=40)
    prompt = bytes(range(60))
    with pytest.raises(ContextOverflow):
        engine.generate(prompt)
    cut = engine.generate(prompt, GenerationParams(max_tokens=8, overflow=OverflowPolicy.TRUNCATE_MIDDLE))
    assert (cut.dropped_tokens, cut.usage.prompt_tokens, cut.usage.completion_tokens) == (28, 32, 8)
    stopped = engine.generate(prompt, GenerationParams(overflow=OverflowPolicy.STOP_AT_LIMIT, n=2))
    assert stopped.finish_reason is FinishReason.LENGTH
    assert (stopped.text, stopped.usage.prompt_tokens, stopped.usage.completion_tokens) == ("", 60, 0)
    assert len(stopped.choices) == 2


def test_no_request_can_be_larger_than_the_cache() -> None:
    engine = scripted_engine(alphabet, blocks=2, context_length=None, max_batch_tokens=64)
    assert engine.model_info.context_length == 2 * BLOCK_SIZE
    with pytest.raises(ContextOverflow) as caught:
        engine.generate(bytes(32))
    assert caught.value.data == {"prompt_tokens": 32, "context_length": 32}
    assert len(engine.generate(bytes(31)).token_ids) == 1


def test_what_cannot_be_taken_is_refused_by_name() -> None:
    engine = scripted_engine(alphabet, max_waiting_requests=1)
    engine.add_request(request(request_id="one"))
    with pytest.raises(Conflict, match="'one' is in use"):
        engine.add_request(request(request_id="one"))
    with pytest.raises(Busy):
        engine.add_request(request())
    with pytest.raises(InvalidParams, match="prompt_tokens has 999"):
        engine.add_request(InferenceRequest((999,)))
    engine.cancel_all()
    assert set(finish(engine)) == {"one"}
    assert engine.add_request(request(request_id="one")) == "one"


def test_a_finished_id_may_be_used_again_and_late_cancels_are_ignored() -> None:
    engine = scripted_engine(alphabet)
    for _ in range(2):
        engine.add_request(request(request_id="r", max_tokens=1))
        assert finish(engine)["r"].finish_reason is FinishReason.LENGTH
        engine.cancel_request("r")
    assert engine.step() == []


def test_an_abandoned_engine_ends_every_request_and_takes_no_more() -> None:
    engine = scripted_engine(alphabet)
    engine.add_request(request(request_id="r", max_tokens=10))
    engine.step()
    error = InternalError("died")
    (output,) = engine.abandon(error)
    assert (output.request_id, output.finished, output.error, output.text) == ("r", True, error, "b")
    assert not engine.has_unfinished_requests()
    with pytest.raises(InternalError, match="died"):
        engine.add_request(request())


def test_a_closed_engine_refuses_work_and_closes_once() -> None:
    engine = scripted_engine(alphabet)
    engine.close()
    engine.close()
    with pytest.raises(ModelNotLoaded):
        engine.generate(b"x")


def test_logprobs_come_with_their_tokens() -> None:
    engine = scripted_engine(alphabet)
    output = engine.generate(b"x", GenerationParams(max_tokens=4, logprobs=True, top_logprobs=2))
    (choice,) = output.choices
    assert [item.chosen.token_id for item in choice.logprobs] == list(choice.token_ids)
    assert all(len(item.top) == 2 for item in choice.logprobs)
