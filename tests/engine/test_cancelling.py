"""A request ends wherever it is, with a step's latency and what there was."""

from sidecar.executors.base import ExecutionBatch
from sidecar.executors.scripted import TURN_END, Controls
from sidecar.generation import (
    FinishReason,
    Priority,
)
from tests.support.engine_requests import alphabet, finish, request
from tests.support.scripted import scripted_engine


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
