"""A failure ends the one request that caused it; every other one loses nothing."""

import logging
from functools import partial

import pytest

from sidecar.errors import (
    InternalError,
    OutOfMemory,
)
from sidecar.executors.base import ExecutionBatch, ExecutionResult
from sidecar.executors.scripted import Controls
from sidecar.generation import (
    FinishReason,
    GenerationParams,
    InferenceRequest,
)
from tests.support.engine_requests import LETTERS, alphabet, chat, executor_of, finish, raising, request
from tests.support.scripted import scripted_engine


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
