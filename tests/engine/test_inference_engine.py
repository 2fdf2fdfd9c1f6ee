import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sidecar.engine.inference_engine import InferenceEngine
from sidecar.errors import (
    Busy,
    Conflict,
    ContextOverflow,
    InternalError,
    InvalidParams,
    ModelNotLoaded,
    OutOfMemory,
)
from sidecar.executors.base import BLOCK_SIZE, ExecutionBatch, ExecutionResult
from sidecar.executors.scripted import TURN_END, Controls, ScriptedExecutor
from sidecar.generation import (
    FinishReason,
    GenerationOutput,
    GenerationParams,
    InferenceRequest,
    OverflowPolicy,
    Priority,
)
from tests.support.scripted import scripted_engine

LETTERS = b"abcdefghijklmnopqrstuvwxyz"


def alphabet(tokens: list[int], choice: int) -> int:
    return LETTERS[(len(tokens) + choice) % 26]


def request(prompt: bytes = b"x", request_id: str | None = None, **params: Any) -> InferenceRequest:
    return InferenceRequest(tuple(prompt), GenerationParams(**params), request_id)


def finish(engine: InferenceEngine) -> dict[str, GenerationOutput]:
    outputs: dict[str, GenerationOutput] = {}
    while engine.has_unfinished_requests():
        outputs |= {output.request_id: output for output in engine.step() if output.finished}
    engine.check_integrity()
    stats = engine.stats()
    assert stats.blocks_free + stats.blocks_cached == stats.blocks_total
    return outputs


def executor_of(engine: InferenceEngine) -> ScriptedExecutor:
    executor = engine._executor
    assert isinstance(executor, ScriptedExecutor)
    return executor


def raising(error: BaseException, when: Callable[[int, ExecutionBatch], bool]) -> Controls:
    """Raises in each execute for which `when` (number from 1, batch) says so."""
    executes = 0

    def before_execute(batch: ExecutionBatch) -> None:
        nonlocal executes
        executes += 1
        if when(executes, batch):
            raise error

    return Controls(before_execute)


def chat(engine: InferenceEngine, text: str) -> list[int]:
    return engine.tokenize(f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n", parse_special=True)


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


def test_a_step_that_fails_is_computed_again_row_by_row_and_only_the_culprit_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    culprit = 200
    controls = raising(
        RuntimeError("secret words of a user"),
        lambda _, batch: any(culprit in row.token_ids for row in batch.rows),
    )
    engine = scripted_engine(alphabet, controls)
    engine.add_request(request(b"aa", "a", max_tokens=30))
    engine.step()
    engine.add_request(request(bytes([1, culprit, 2]), "culprit", max_tokens=30))
    engine.add_request(request(b"bb", "b", max_tokens=30, n=2))
    with caplog.at_level(logging.ERROR):
        outputs = finish(engine)
    error = outputs["culprit"].error
    assert isinstance(error, InternalError)
    assert "RuntimeError" in error.message
    assert "secret" not in error.message
    assert outputs["culprit"].finish_reason is FinishReason.ERROR
    for name in "ab":
        assert outputs[name].error is None
        assert [len(choice.token_ids) for choice in outputs[name].choices] == [30] * (1 + (name == "b"))
        assert bytes(outputs[name].token_ids) == bytes(LETTERS[(2 + index) % 26] for index in range(30))
    assert executor_of(engine).mismatches == []


@pytest.mark.parametrize("failing", range(1, 12))
def test_a_step_that_fails_once_loses_nothing(failing: int) -> None:
    engine = scripted_engine(
        alphabet,
        raising(MemoryError(), lambda number, batch: number == failing and len(batch.rows) > 1),
        max_batch_tokens=20,
        max_running_requests=8,
    )
    for name in "abc":
        engine.add_request(request(name.encode() * 18, name, max_tokens=10, n=2))
    for output in finish(engine).values():
        assert output.error is None
        for choice in output.choices:
            expected = bytes(LETTERS[(18 + index + choice.index) % 26] for index in range(10))
            assert bytes(choice.token_ids) == expected
    assert executor_of(engine).mismatches == []


def test_a_failed_copy_is_made_again_with_the_step() -> None:
    copies = 0

    def before_copy(pairs: object) -> None:
        nonlocal copies
        copies += 1
        if copies == 1:
            raise RuntimeError("told to")

    engine = scripted_engine(alphabet, Controls(before_copy=before_copy))
    output = engine.generate(b"abc", GenerationParams(n=3, max_tokens=5))
    assert output.error is None
    assert copies == 3
    assert executor_of(engine).mismatches == []


def test_an_error_of_our_tree_reaches_the_request_as_it_is() -> None:
    engine = scripted_engine(alphabet, raising(OutOfMemory("no room"), lambda number, _: number == 3))
    with pytest.raises(OutOfMemory, match="no room"):
        engine.generate(b"x", GenerationParams(max_tokens=30))
    assert engine.generate(b"x", GenerationParams(max_tokens=3)).text == "bcd"


def test_a_row_s_own_error_ends_its_request_with_what_there_was() -> None:
    engine = scripted_engine()
    engine.add_request(InferenceRequest(tuple(chat(engine, "fail")), request_id="fails"))
    engine.add_request(InferenceRequest(tuple(chat(engine, "count 3")), request_id="works"))
    outputs = finish(engine)
    error = outputs["fails"].error
    assert isinstance(error, InternalError)
    assert "the script failed this row" in error.message
    assert outputs["works"].text == "1 2 3"


def test_what_a_failed_request_wrote_is_not_found_again() -> None:
    engine = scripted_engine(
        alphabet, raising(RuntimeError("told to"), lambda number, _: number == 3), max_batch_tokens=40
    )
    prompt = bytes(range(100))
    with pytest.raises(InternalError):
        engine.generate(prompt)
    assert engine.stats().blocks_cached == 0
    assert engine.generate(prompt, GenerationParams(max_tokens=1)).usage.cached_tokens == 0


def test_an_executor_that_answers_with_too_few_rows_fails_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = scripted_engine(alphabet)
    executor = executor_of(engine)
    execute = executor.execute

    def cut(batch: ExecutionBatch) -> ExecutionResult:
        return ExecutionResult(execute(batch).rows[:-1])

    monkeypatch.setattr(executor, "execute", cut)
    with pytest.raises(InternalError, match="answered 1 rows with 0 results"):
        engine.generate(b"x")


class Broken:
    """A constraint that fails on its second use."""

    def __init__(self, *, in_mask: bool) -> None:
        self._in_mask = in_mask
        self._uses = 0

    def fill_mask(self, mask: memoryview) -> None:
        mask[:] = b"\xff" * len(mask)
        self._use(self._in_mask)

    def advance(self, token_id: int) -> None:
        self._use(not self._in_mask)

    def is_complete(self) -> bool:
        return False

    def _use(self, counts: bool) -> None:
        self._uses += counts
        if self._uses == 2:
            raise ValueError("secret")


@pytest.mark.parametrize("in_mask", [True, False])
def test_a_constraint_that_fails_ends_its_request_alone(in_mask: bool) -> None:
    engine = scripted_engine(alphabet)
    params = GenerationParams(max_tokens=10, n=2)
    constraint = partial(Broken, in_mask=in_mask)
    engine.add_request(InferenceRequest(tuple(b"x"), params, "broken", constraint=constraint))
    engine.add_request(request(b"y", "fine", max_tokens=10))
    outputs = finish(engine)
    error = outputs["broken"].error
    assert isinstance(error, InternalError)
    assert "secret" not in error.message
    assert outputs["fine"].usage.completion_tokens == 10


def test_a_constraint_decides_what_may_come() -> None:
    class Digits:
        def fill_mask(self, mask: memoryview) -> None:
            mask[:] = bytes(len(mask))
            for digit in b"0123456789":
                mask[digit // 8] |= 1 << digit % 8

        def advance(self, token_id: int) -> None:
            pass

        def is_complete(self) -> bool:
            return False

    engine = scripted_engine(alphabet)
    params = GenerationParams(max_tokens=5)
    engine.add_request(InferenceRequest(tuple(b"x"), params, "r", constraint=Digits))
    assert finish(engine)["r"].text == "00000"


def test_cancelling_works_at_every_stage() -> None:
    engine = scripted_engine(alphabet, max_running_requests=1, max_batch_tokens=20)
    engine.add_request(request(b"a", "running", max_tokens=100))
    engine.add_request(request(b"b", "waiting", max_tokens=100))
    engine.add_request(request(b"c", "unseen", max_tokens=100))
    engine.cancel_request("unseen")
    engine.step()
    engine.step()
    engine.cancel_request("waiting")
    engine.cancel_request("running")
    engine.cancel_request("running")
    engine.cancel_request("never heard of")
    outputs = {output.request_id: output for output in engine.step()}
    assert set(outputs) == {"running", "waiting"}
    assert all(output.finished and output.error is None for output in outputs.values())
    assert outputs["running"].finish_reason is outputs["waiting"].finish_reason is FinishReason.CANCELLED
    assert (outputs["running"].text, outputs["waiting"].text) == ("bc", "")
    assert not engine.has_unfinished_requests()
    engine.check_integrity()


def test_cancelling_in_the_middle_of_a_prompt_and_while_preempted() -> None:
    engine = scripted_engine(alphabet, blocks=6, max_batch_tokens=34)
    engine.add_request(request(b"a" * 70, "prompt", max_tokens=10))
    engine.step()
    engine.cancel_request("prompt")
    (output,) = engine.step()
    assert output.finish_reason is FinishReason.CANCELLED
    engine.add_request(request(b"b" * 40, "preempted", max_tokens=30, priority=Priority.BACKGROUND))
    engine.step()
    engine.step()
    engine.add_request(request(b"c" * 70, "urgent", max_tokens=5, priority=Priority.INTERACTIVE))
    engine.step()
    assert engine.stats().preemptions == 1
    engine.cancel_request("preempted")
    outputs = finish(engine)
    assert outputs["preempted"].finish_reason is FinishReason.CANCELLED
    assert outputs["preempted"].usage.completion_tokens > 0
    assert outputs["urgent"].finish_reason is FinishReason.LENGTH


def test_cancelling_during_a_step_gives_up_the_step_s_token() -> None:
    def before_execute(batch: ExecutionBatch) -> None:
        if batch.rows[0].start == 3:
            engine.cancel_request("r")
            assert batch.rows[0].cancel[0]

    engine = scripted_engine(alphabet, Controls(before_execute))
    engine.add_request(request(b"x", "r", max_tokens=100, n=2))
    engine.add_request(request(b"yy", "other", max_tokens=8))
    outputs = finish(engine)
    assert {choice.finish_reason for choice in outputs["r"].choices} == {FinishReason.CANCELLED}
    assert outputs["r"].text == "bcd"
    assert outputs["other"].usage.completion_tokens == 8


def test_cancelling_during_a_step_ends_what_waits_with_that_step() -> None:
    engine = scripted_engine(
        alphabet,
        Controls(lambda batch: engine.cancel_request("waiting")),
        max_running_requests=1,
        max_batch_tokens=20,
    )
    engine.add_request(request(b"x", "running", max_tokens=5))
    engine.add_request(request(b"y", "waiting", max_tokens=5))
    outputs = {output.request_id: output for output in engine.step()}
    assert outputs["waiting"].finish_reason is FinishReason.CANCELLED
    assert not outputs["running"].finished


def test_choices_that_ended_before_a_cancel_keep_their_reason() -> None:
    def until_five(tokens: list[int], choice: int) -> int:
        return TURN_END if choice == 1 and len(tokens) == 5 else 97

    engine = scripted_engine(until_five)
    engine.add_request(request(b"x", "r", max_tokens=100, n=2))
    for _ in range(10):
        engine.step()
    engine.cancel_request("r")
    output = finish(engine)["r"]
    assert [choice.finish_reason for choice in output.choices] == [FinishReason.CANCELLED, FinishReason.STOP]


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
