"""Requests for an engine on the scripted executor, and what came of them."""

from collections.abc import Callable
from typing import Any

from sidecar.engine.inference_engine import InferenceEngine
from sidecar.executors.base import ExecutionBatch
from sidecar.executors.scripted import Controls, ScriptedExecutor
from sidecar.generation import (
    GenerationOutput,
    GenerationParams,
    InferenceRequest,
)

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
