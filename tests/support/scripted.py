"""Engines on the scripted executor, for tests of everything above executors."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from sidecar.engine.config import EngineConfig
from sidecar.engine.inference_engine import InferenceEngine
from sidecar.engine.loading import LoadedModel, load_source
from sidecar.executors.base import BLOCK_SIZE, ExecutionBatch
from sidecar.executors.scripted import Controls, Script, ScriptedExecutorKind, scripted_model

DEADLINE = 10.0
"""Seconds after which a test that waits has failed."""


class Gate:
    """Called before each step: holds the engine thread, after some free steps, until it is opened."""

    def __init__(self, *, free_steps: int = 0) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.batch: ExecutionBatch | None = None
        self._free_steps = free_steps

    def __call__(self, batch: ExecutionBatch) -> None:
        if self._free_steps:
            self._free_steps -= 1
            return
        self.batch = batch
        self.reached.set()
        assert self.opened.wait(DEADLINE)

    async def wait_until_reached(self) -> None:
        """Wait without holding the loop up."""
        assert await asyncio.to_thread(self.reached.wait, DEADLINE)


def scripted_config(*, blocks: int = 64, **settings: Any) -> EngineConfig:
    """Settings with a cache of `blocks` blocks, checked after every step."""
    defaults = {
        "executor": "scripted",
        "cache_tokens": blocks * BLOCK_SIZE,
        "context_length": blocks * BLOCK_SIZE,
        "check_integrity": True,
    }
    return EngineConfig(**{**defaults, **settings})


def scripted_loaded(
    config: EngineConfig, script: Script | None = None, controls: Controls | None = None
) -> LoadedModel:
    """The scripted model in memory."""
    return load_source(
        config, "scripted", scripted_model(), ScriptedExecutorKind(script, controls), "float32"
    )


def scripted_engine(
    script: Script | None = None,
    controls: Controls | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    **settings: Any,
) -> InferenceEngine:
    """An engine whose tokens come from `script`; `settings` as for `scripted_config`."""
    config = scripted_config(**settings)
    return InferenceEngine(config, model=scripted_loaded(config, script, controls), clock=clock)
