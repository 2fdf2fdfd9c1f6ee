"""Whatever arrives, is cancelled or fails, and however small the cache: the engine's invariants."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.engine.inference_engine import InferenceEngine
from sidecar.executors.base import BLOCK_SIZE, ExecutionBatch
from sidecar.executors.scripted import TURN_END, Controls, RowFailure, ScriptedExecutor
from sidecar.generation import (
    FinishReason,
    GenerationOutput,
    GenerationParams,
    InferenceRequest,
    Priority,
)
from tests.support.scripted import scripted_config, scripted_loaded

FAILS_ROW = 250
CRASHES_STEP = 251
FAILS_LATER = 252
"""Ends the second choice of its request with an error after a while."""


def chain_script(tokens: list[int], choice: int) -> int:
    """Depends on every token and the choice, so that any mix-up of sequences shows."""
    if FAILS_ROW in tokens:
        raise RowFailure("told to")
    if FAILS_LATER in tokens and choice == 1 and len(tokens) % 7 == 0:
        raise RowFailure("told to")
    state = choice + 1
    for token_id in tokens:
        state = (state * 31 + token_id + 7) % 100_003
    return TURN_END if state % 23 == 0 else state % 200


@dataclass(frozen=True)
class Arrival:
    step: int
    prompt: tuple[int, ...]
    max_tokens: int
    n: int
    priority: Priority
    cancel_after: int | None
    cancel_within_step: bool


def alone(arrival: Arrival, choice: int, context_length: int) -> list[int]:
    """What a choice gets from the script, without any engine."""
    tokens = list(arrival.prompt)
    generated: list[int] = []
    while len(generated) < arrival.max_tokens and len(tokens) < context_length:
        try:
            generated.append(chain_script(tokens, choice))
        except RowFailure:
            break
        tokens.append(generated[-1])
        if generated[-1] == TURN_END:
            break
    return generated


SHARED = tuple((7 * index) % 190 for index in range(80))


@st.composite
def arrivals(draw: st.DrawFn, longest: int) -> list[Arrival]:
    count = draw(st.integers(1, 8))
    made = []
    for _ in range(count):
        shared = draw(st.integers(0, min(longest - 1, len(SHARED))))
        own = draw(st.lists(st.integers(0, 199), min_size=1, max_size=max(1, min(40, longest - shared))))
        prompt = [*SHARED[:shared], *own]
        poison = draw(st.sampled_from([None] * 12 + [FAILS_ROW, CRASHES_STEP, FAILS_LATER]))
        if poison is not None:
            prompt[draw(st.integers(0, len(prompt) - 1))] = poison
        if made and draw(st.integers(0, 3)) == 0:
            prompt = list(draw(st.sampled_from(made)).prompt)
        made.append(
            Arrival(
                step=draw(st.integers(0, 12)),
                prompt=tuple(prompt[:longest]),
                max_tokens=draw(st.integers(1, 40)),
                n=draw(st.sampled_from([1, 1, 1, 2, 3])),
                priority=draw(st.sampled_from(list(Priority))),
                cancel_after=draw(st.one_of(st.none(), st.none(), st.integers(0, 10))),
                cancel_within_step=draw(st.booleans()),
            )
        )
    return made


@st.composite
def loads(draw: st.DrawFn) -> tuple[int, int, int, bool, list[Arrival], set[int]]:
    blocks = draw(st.integers(2, 12))
    max_running = draw(st.integers(1, 6))
    max_batch_tokens = draw(st.integers(max_running + 1, 64))
    crashing_executes = draw(st.sets(st.integers(1, 40), max_size=3))
    longest = blocks * BLOCK_SIZE - 1
    return (
        blocks,
        max_running,
        max_batch_tokens,
        draw(st.booleans()),
        draw(arrivals(longest)),
        crashing_executes,
    )


class Driver:
    """Runs a plan of arrivals to its end."""

    def __init__(self, plan: Sequence[Arrival], crashing_executes: set[int]) -> None:
        self.finished: dict[str, GenerationOutput] = {}
        self.streamed: dict[str, list[int]] = {}
        self._plan = plan
        self._crashing_executes = crashing_executes
        self._executes = 0
        self._step = 0
        self._engine: InferenceEngine | None = None

    def before_execute(self, batch: ExecutionBatch) -> None:
        self._cancel(within_step=True)
        self._executes += 1
        if len(batch.rows) > 1 and self._executes in self._crashing_executes:
            raise RuntimeError("told to")
        if any(CRASHES_STEP in row.token_ids for row in batch.rows):
            raise RuntimeError("told to")

    def run(self, engine: InferenceEngine) -> None:
        self._engine = engine
        while self._step <= max(arrival.step for arrival in self._plan) or engine.has_unfinished_requests():
            for number, arrival in enumerate(self._plan):
                if arrival.step == self._step:
                    params = GenerationParams(
                        max_tokens=arrival.max_tokens, n=arrival.n, priority=arrival.priority, temperature=0
                    )
                    engine.add_request(InferenceRequest(arrival.prompt, params, str(number)))
            self._cancel(within_step=False)
            for output in engine.step():
                self._take(output)
            self._step += 1
            assert self._step < 5000, "the engine makes no progress"

    def _cancel(self, *, within_step: bool) -> None:
        assert self._engine is not None
        for number, arrival in enumerate(self._plan):
            if (
                arrival.cancel_within_step == within_step
                and arrival.cancel_after is not None
                and arrival.step + arrival.cancel_after == self._step
            ):
                self._engine.cancel_request(str(number))

    def _take(self, output: GenerationOutput) -> None:
        assert output.request_id not in self.finished, "a request spoke after its end"
        for chunk in output.chunks:
            self.streamed.setdefault(f"{output.request_id}.{chunk.choice}", []).extend(chunk.token_ids)
        if output.finished:
            self.finished[output.request_id] = output


@settings(max_examples=250, deadline=None)
@given(loads())
def test_every_request_ends_once_with_the_tokens_it_gets_alone(
    load: tuple[int, int, int, bool, list[Arrival], set[int]],
) -> None:
    blocks, max_running, max_batch_tokens, prefix_cache, plan, crashing_executes = load
    config = scripted_config(
        blocks=blocks,
        max_running_requests=max_running,
        max_batch_tokens=max_batch_tokens,
        prefix_cache=prefix_cache,
    )
    driver = Driver(plan, crashing_executes)
    loaded = scripted_loaded(config, chain_script, Controls(driver.before_execute))
    now = iter(range(10**9))
    engine = InferenceEngine(config, model=loaded, clock=lambda: next(now) * 0.01)
    driver.run(engine)

    assert sorted(driver.finished) == sorted(str(number) for number in range(len(plan)))
    for number, arrival in enumerate(plan):
        output = driver.finished[str(number)]
        assert len(output.choices) == arrival.n
        assert output.usage.prompt_tokens == len(arrival.prompt)
        assert output.usage.completion_tokens == sum(len(choice.token_ids) for choice in output.choices)
        for choice in output.choices:
            expected = alone(arrival, choice.index, blocks * BLOCK_SIZE)
            assert driver.streamed.get(f"{number}.{choice.index}", []) == list(choice.token_ids)
            if choice.finish_reason in (FinishReason.STOP, FinishReason.LENGTH):
                assert list(choice.token_ids) == expected
            else:
                assert list(choice.token_ids) == expected[: len(choice.token_ids)]
                wanted = FinishReason.ERROR if output.error else FinishReason.CANCELLED
                assert choice.finish_reason is wanted
        poisons = {FAILS_ROW, CRASHES_STEP, FAILS_LATER}.intersection(arrival.prompt)
        assert output.error is None or poisons
        if poisons - {FAILS_LATER} and arrival.cancel_after is None:
            assert output.error is not None
    stats = engine.stats()
    assert stats.running == stats.waiting == 0
    assert stats.blocks_free + stats.blocks_cached == stats.blocks_total
    engine.check_integrity()
    assert isinstance(loaded.executor, ScriptedExecutor)
    assert loaded.executor.mismatches == []
