"""An executor that takes the time of a model's step and no processor: what is left is everything else.

Unlike the scripted executor's, its steps neither compute nor hold Python's lock,
so whatever runs beside them runs as beside a real model.
"""

import time
from dataclasses import dataclass

from sidecar.engine.config import EngineConfig
from sidecar.engine.inference_engine import InferenceEngine
from sidecar.engine.loading import load_source
from sidecar.executors.base import ExecutionBatch, ExecutionResult, ExecutorOptions, RowResult
from sidecar.executors.scripted import ENDLESS, ScriptedExecutor, ScriptedExecutorKind, scripted_model

PACED = "scripted"
"""The start option and model name it goes by: it stands in for the scripted executor."""


class PacedExecutor(ScriptedExecutor):
    """Says "la la la …" for ever, a token a step and row, `step_seconds` from step to step."""

    def __init__(self, step_seconds: float) -> None:
        super().__init__()
        self._step_seconds = step_seconds
        self._due = 0.0

    def execute(self, batch: ExecutionBatch) -> ExecutionResult:
        """Wait until the step is due; steps that came late do not make the next ones early."""
        now = time.monotonic()
        self._due = max(now, self._due + self._step_seconds)
        time.sleep(self._due - now)
        return ExecutionResult(
            [
                RowResult((ENDLESS[(row.start + len(row.token_ids)) % len(ENDLESS)],) * row.samples)
                for row in batch.rows
            ]
        )


@dataclass(frozen=True, slots=True)
class PacedExecutorKind(ScriptedExecutorKind):
    """Makes paced executors."""

    step_seconds: float = 0.01

    def create(self, options: ExecutorOptions) -> PacedExecutor:
        """A new executor of this pace."""
        return PacedExecutor(self.step_seconds)


def paced_engine(step_seconds: float) -> InferenceEngine:
    """An engine as a library, with the scripted executor's built-in model."""
    config = EngineConfig(model=PACED, executor=PACED)
    kind = PacedExecutorKind(step_seconds=step_seconds)
    return InferenceEngine(config, model=load_source(config, PACED, scripted_model(), kind, "float32"))
