import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.engine import loading
from sidecar.engine.async_engine import AsyncInferenceEngine
from sidecar.engine.config import EngineConfig
from sidecar.engine.engine_pool import EnginePool
from sidecar.engine.info import LoadProgress, LoadStage, ModelState
from sidecar.errors import (
    Cancelled,
    Conflict,
    InternalError,
    InvalidModelFile,
    ModelLoadFailed,
    ModelNotLoaded,
    NotFound,
    OutOfMemory,
    ShuttingDown,
)
from sidecar.executors.base import ConversionProgress, ConvertedModel, ExecutorOptions, MemoryEstimate
from sidecar.executors.scripted import ScriptedExecutor
from sidecar.generation import FinishReason, GenerationParams, InferenceRequest
from sidecar.models.source import ModelSource
from tests.support.scripted import DEADLINE, Gate, scripted_config

MIB = 2**20


class HeldExecutor(ScriptedExecutor):
    """Loads only once its load is let go; closing is noted."""

    def __init__(self, loads: "Loads") -> None:
        super().__init__()
        self._loads = loads

    def load(self, model: ConvertedModel, progress: ConversionProgress) -> None:
        self._loads.begun.append(self)
        self._loads.reached.set()
        progress(0.5, "load")
        assert self._loads.let_go.wait(DEADLINE)
        if self._loads.error is not None:
            raise self._loads.error
        progress(1.0, "load")
        self._loads.finished.append(self)

    @property
    def device(self) -> str:
        self._loads.described.set()
        assert self._loads.let_describe.wait(DEADLINE)
        return "cpu"

    def close(self) -> None:
        self._loads.closed.append(self)
        self._loads.closing.set()
        super().close()


class Loads:
    """A test's hands on every load: the kind of executor that the pool makes."""

    name = "scripted"
    layout_version = 1

    def __init__(self) -> None:
        self.begun: list[HeldExecutor] = []
        self.finished: list[HeldExecutor] = []
        self.closed: list[HeldExecutor] = []
        self.reached = threading.Event()
        self.closing = threading.Event()
        self.let_go = threading.Event()
        # Reached after the last progress report, where a load cannot stop any more.
        self.described = threading.Event()
        self.let_describe = threading.Event()
        self.let_describe.set()
        self.error: Exception | None = None
        self.weights_bytes = 0

    def quantizations(self, source: ModelSource) -> tuple[str, ...]:
        return ("float32",)

    def needs_conversion(self, *_: object) -> bool:
        return False

    def memory_estimate(
        self, source: ModelSource, quantization: str, options: ExecutorOptions
    ) -> MemoryEstimate:
        return MemoryEstimate(self.weights_bytes, bytes_per_block=MIB, overhead_bytes=0)

    def create(self, options: ExecutorOptions) -> HeldExecutor:
        return HeldExecutor(self)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    made = Loads()
    monkeypatch.setattr(loading, "executor_kind", lambda name: made)
    return made


@asynccontextmanager
async def opened(base: EngineConfig | None = None) -> AsyncIterator[EnginePool]:
    pool = EnginePool(base or scripted_config())
    try:
        yield pool
    finally:
        await asyncio.wait_for(pool.close(), DEADLINE)


async def reached(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, DEADLINE)


async def say(engine: AsyncInferenceEngine, text: str) -> str:
    turns = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    return (await engine.generate(await engine.tokenize(turns, parse_special=True))).text


def states(pool: EnginePool) -> dict[str, ModelState]:
    return {status.name: status.state for status in pool.status()}


async def test_a_model_is_loaded_on_first_use_and_then_at_hand() -> None:
    async with opened() as pool:
        assert pool.status() == []
        heard: list[LoadProgress] = []
        engine = await pool.acquire("one", heard.append)
        assert await say(engine, "hello") == "hello"
        assert await pool.acquire("one") is engine
        (status,) = pool.status()
        assert (status.name, status.state, status.error) == ("one", ModelState.READY, None)
        assert status.info is not None
        assert status.stats is not None
        assert status.stats.requests_finished == 1
    assert [item.stage for item in heard if item.fraction == 1.0] == [
        LoadStage.RESOLVE,
        LoadStage.LOAD,
        LoadStage.ALLOCATE,
    ]
    assert pool.status() == []


async def test_concurrent_loads_of_one_model_share_the_work(loads: Loads) -> None:
    async with opened() as pool:
        heard: list[list[LoadProgress]] = [[], []]
        first = asyncio.create_task(pool.load("one", heard[0].append))
        await reached(loads.reached)
        joined = asyncio.Event()

        def hear(progress: LoadProgress) -> None:
            heard[1].append(progress)
            joined.set()

        second = asyncio.create_task(pool.acquire("one", hear))
        await asyncio.wait_for(joined.wait(), DEADLINE)
        loads.let_go.set()
        engines = await asyncio.gather(first, second)
        assert engines[0] is engines[1]
        assert len(loads.begun) == 1
        assert heard[0][-1] == heard[1][-1] == LoadProgress(LoadStage.ALLOCATE, 1.0)


async def test_a_load_that_fails_says_so_and_leaves_the_others_serving(loads: Loads) -> None:
    loads.let_go.set()
    async with opened() as pool:
        good = await pool.load("good")
        loads.error = ModelLoadFailed("bad weights")
        for _ in range(2):
            with pytest.raises(ModelLoadFailed, match="bad weights"):
                await pool.load("bad")
        assert states(pool) == {"good": ModelState.READY, "bad": ModelState.ERROR}
        assert next(status.error for status in pool.status() if status.name == "bad") is loads.error
        assert len(loads.closed) == 2
        assert await say(good, "still here") == "still here"
        loads.error = None
        assert await say(await pool.acquire("bad"), "back") == "back"
        assert states(pool) == {"good": ModelState.READY, "bad": ModelState.READY}


async def test_a_bug_while_loading_is_an_internal_error_in_the_status(loads: Loads) -> None:
    loads.let_go.set()
    loads.error = ZeroDivisionError("secret")
    async with opened() as pool:
        with pytest.raises(ZeroDivisionError):
            await pool.load("one")
        (status,) = pool.status()
        assert isinstance(status.error, InternalError)
        assert "secret" not in status.error.message
        await pool.unload("one")
        assert pool.status() == []


async def test_damaged_and_missing_files_are_typed_errors(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + bytes(10))
    async with opened() as pool:
        good = await pool.load("good")
        files = EngineConfig(executor="auto")
        with pytest.raises(InvalidModelFile):
            await pool.load(str(damaged), config=files)
        with pytest.raises(NotFound):
            await pool.load(str(tmp_path / "missing.gguf"), config=files)
        with pytest.raises(NotFound):
            await pool.load("no-such-model", config=files)
        assert states(pool) == {"good": ModelState.READY, "damaged": ModelState.ERROR}
        assert await say(good, "fine") == "fine"


async def test_unloading_cancels_what_runs_and_frees_the_model(loads: Loads) -> None:
    loads.let_go.set()
    async with opened() as pool:
        engine = await pool.load("one")
        other = await pool.load("two")
        gate = loads.begun[0].controls.before_execute = Gate(free_steps=1)
        stream = engine.stream(InferenceRequest(tuple(b"x"), GenerationParams(max_tokens=900)))
        await anext(stream)
        unloading = asyncio.create_task(pool.unload("one"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert states(pool) == {"one": ModelState.UNLOADING, "two": ModelState.READY}
        gate.opened.set()
        await unloading
        assert [output async for output in stream][-1].finish_reason is FinishReason.CANCELLED
        assert states(pool) == {"two": ModelState.READY}
        assert loads.closed == [loads.begun[0]]
        with pytest.raises(ModelNotLoaded):
            await engine.generate(b"x")
        assert await say(other, "fine") == "fine"
        with pytest.raises(ModelNotLoaded, match="'one' is not in memory; in memory: two"):
            await pool.unload("one")


async def test_draining_waits_for_what_runs() -> None:
    async with opened() as pool:
        engine = await pool.load("one")
        stream = engine.stream(InferenceRequest(tuple(b"x"), GenerationParams(max_tokens=50)))
        await anext(stream)
        await pool.unload("one", drain=True)
        assert len([output async for output in stream][-1].token_ids) == 50


async def test_unloading_a_model_that_loads_stops_the_load(loads: Loads) -> None:
    async with opened() as pool:
        waiting = asyncio.create_task(pool.load("one"))
        await reached(loads.reached)
        unloading = asyncio.create_task(pool.unload("one"))
        with pytest.raises(Cancelled):
            await waiting
        await unloading
        assert pool.status() == []
        loads.let_go.set()
        await reached(loads.closing)
        loads.reached.clear()
        assert await say(await pool.load("one"), "again") == "again"


async def test_a_load_stops_when_the_last_who_waits_for_it_leaves(loads: Loads) -> None:
    async with opened() as pool:
        first = asyncio.create_task(pool.load("one"))
        await reached(loads.reached)
        joined = asyncio.Event()
        second = asyncio.create_task(pool.load("one", lambda _: joined.set()))
        await asyncio.wait_for(joined.wait(), DEADLINE)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert states(pool) == {"one": ModelState.LOADING}
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert pool.status() == []
        loads.let_go.set()
        await reached(loads.closing)
        assert len(loads.closed) == 1
        assert loads.finished == []


async def test_a_load_that_is_cancelled_too_late_to_stop_is_closed(loads: Loads) -> None:
    loads.let_go.set()
    loads.let_describe.clear()
    async with opened() as pool:
        waiting = asyncio.create_task(pool.load("one"))
        await reached(loads.described)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        loads.let_describe.set()
        await reached(loads.closing)
        assert loads.closed == loads.finished == loads.begun


async def test_a_loaded_model_cannot_be_loaded_with_other_settings(loads: Loads) -> None:
    loads.let_go.set()
    async with opened() as pool:
        await pool.load("one")
        await pool.load("one", config=pool.base)
        with pytest.raises(Conflict, match="other settings"):
            await pool.load("one", config=replace(pool.base, prefix_cache=False))


async def test_the_memory_budget_counts_what_is_loaded(loads: Loads) -> None:
    loads.let_go.set()
    loads.weights_bytes = 30 * MIB
    async with opened(scripted_config(blocks=10, memory_budget_bytes=100 * MIB)) as pool:
        await pool.load("one")
        await pool.load("two")
        with pytest.raises(OutOfMemory) as caught:
            await pool.load("three")
        assert caught.value.data == {"needed_bytes": 40 * MIB, "available_bytes": 20 * MIB}
        await pool.unload("one")
        results = await asyncio.gather(pool.load("three"), pool.load("four"), return_exceptions=True)
        assert [isinstance(result, OutOfMemory) for result in results].count(True) == 1
        await pool.unload("four" if "four" in states(pool) else "three")
        await pool.acquire("three")
        assert states(pool) == {"two": ModelState.READY, "three": ModelState.READY}


async def test_a_dead_engine_shows_and_the_next_load_replaces_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as pool:
        engine = await pool.load("one")
        assert engine._seat is not None
        monkeypatch.setattr(engine._seat.engine, "_step", lambda: 1 // 0)
        with pytest.raises(InternalError):
            await engine.generate(b"x")
        (status,) = pool.status()
        assert (status.state, status.error) == (ModelState.ERROR, engine.failure)
        replacement = await pool.acquire("one")
        assert replacement is not engine
        assert await say(replacement, "alive") == "alive"


async def test_every_change_of_state_is_told(loads: Loads) -> None:
    loads.let_go.set()
    told: list[tuple[str, ModelState]] = []
    pool = EnginePool(scripted_config(), on_change=lambda status: told.append((status.name, status.state)))
    await pool.load("one")
    await pool.unload("one")
    loads.error = ModelLoadFailed("bad")
    with pytest.raises(ModelLoadFailed):
        await pool.load("one")
    await pool.close()
    assert [state for _, state in told] == [
        ModelState.LOADING,
        ModelState.READY,
        ModelState.UNLOADING,
        ModelState.LOADING,
        ModelState.ERROR,
        ModelState.UNLOADING,
    ]


async def test_a_closed_pool_loads_nothing_and_closes_again() -> None:
    async with opened() as pool:
        assert pool.activity().phase == "idle"
        await pool.load("one")
        assert pool.activity().phase == "idle"
        await pool.close()
        await pool.close()
        with pytest.raises(ShuttingDown):
            await pool.load("one")
        with pytest.raises(ShuttingDown):
            await pool.acquire("one")
    assert not [thread for thread in threading.enumerate() if thread.name == "engine"]
