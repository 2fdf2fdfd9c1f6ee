"""Several models in one process: loaded once however many ask, unloaded apart, one memory budget."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sidecar.engine.async_engine import AsyncInferenceEngine
from sidecar.engine.config import EngineConfig
from sidecar.engine.engine_thread import EngineThread
from sidecar.engine.info import (
    EngineActivity,
    LoadListener,
    LoadProgress,
    ModelState,
    ModelStatus,
)
from sidecar.engine.loader_thread import load_on_thread
from sidecar.engine.loading import model_identity
from sidecar.errors import (
    Cancelled,
    Conflict,
    InternalError,
    ModelNotLoaded,
    ShuttingDown,
    SidecarError,
)

StatusListener = Callable[[ModelStatus], None]


@dataclass(slots=True, eq=False)
class _Slot:
    """One model's place in the pool."""

    name: str
    config: EngineConfig
    names: set[str]
    """Every name it was asked for by."""
    state: ModelState = ModelState.LOADING
    loading: asyncio.Task[AsyncInferenceEngine] | None = None
    unloading: asyncio.Task[None] | None = None
    listeners: list[LoadListener] = field(default_factory=list)
    waiters: int = 0
    progress: LoadProgress | None = None
    error: SidecarError | None = None
    engine: AsyncInferenceEngine | None = None

    def status(self) -> ModelStatus:
        engine = self.engine
        failure = engine.failure if engine is not None else None
        return ModelStatus(
            name=self.name,
            state=ModelState.ERROR if failure and self.state is ModelState.READY else self.state,
            progress=self.progress if self.state is ModelState.LOADING else None,
            error=self.error or failure,
            info=engine.model_info if engine is not None else None,
            stats=engine.stats() if engine is not None else None,
        )


class EnginePool:
    """The models of this process. Everything is called on the loop it was made on.

    `base` holds what all models share (device, threads, library, …), and its
    `memory_budget_bytes` is for all of them together. `on_change` hears of
    every change of a model's state.
    """

    def __init__(self, base: EngineConfig | None = None, *, on_change: StatusListener | None = None) -> None:
        self.base = base or EngineConfig()
        self._on_change = on_change
        self._slots: dict[str, _Slot] = {}
        self._thread: EngineThread | None = None
        # One load at a time: each sees the memory that the ones before it took.
        self._load_turn = asyncio.Lock()
        self._closing = False

    async def load(
        self, name: str, progress: LoadListener | None = None, *, config: EngineConfig | None = None
    ) -> AsyncInferenceEngine:
        """The model's engine, once it is in memory. Concurrent loads of one model share the work.

        `config` takes the place of `base` for this model. When the last caller
        that waits is cancelled, the load stops. Raises NotFound, ModelError,
        OutOfMemory, Unsupported; Conflict when the model is in memory with
        another config; Cancelled when it is unloaded meanwhile; ShuttingDown.
        """
        wanted = replace(config or self.base, model=name)
        while True:
            identity = await asyncio.to_thread(model_identity, wanted)
            self._refuse_when_closing()
            slot = self._slots.get(identity.key)
            if slot is None or slot.state is ModelState.ERROR:
                break
            if slot.engine is not None and slot.engine.failure is not None:
                self._begin_unloading(slot, drain=False)
            if slot.unloading is None:
                break
            await asyncio.shield(slot.unloading)
        if slot is None or slot.state is ModelState.ERROR:
            slot = self._slots[identity.key] = _Slot(identity.name, wanted, {name})
            slot.loading = asyncio.create_task(self._load(slot))
            slot.loading.add_done_callback(lambda task: self._settle(identity.key, slot, task))
            self._tell(slot)
        elif config is not None and replace(wanted, model=slot.config.model) != slot.config:
            raise Conflict(
                f"model {slot.name!r} is in memory with other settings; unload it to load it with these"
            )
        slot.names.add(name)
        return await self._join(slot, progress)

    async def acquire(self, name: str, progress: LoadListener | None = None) -> AsyncInferenceEngine:
        """The model's engine, at once if it is in memory, else after loading it as `load` does."""
        slot = self._find(name)
        engine = slot.engine if slot is not None and slot.state is ModelState.READY else None
        if engine is not None and engine.failure is None:
            return engine
        return await self.load(name, progress)

    async def unload(self, name: str, *, drain: bool = False) -> None:
        """Free a model; its requests are cancelled, or with `drain` end first. A load under way stops.

        Raises ModelNotLoaded.
        """
        slot = self._find(name)
        if slot is None:
            names = ", ".join(sorted(slot.name for slot in self._slots.values())) or "none"
            raise ModelNotLoaded(f"model {name!r} is not in memory; in memory: {names}")
        await asyncio.shield(self._begin_unloading(slot, drain=drain))

    def status(self) -> list[ModelStatus]:
        """Every model that is in memory, on its way in or out, or failed to load."""
        return [slot.status() for slot in self._slots.values()]

    def activity(self) -> EngineActivity:
        """What the engine thread does now; answers while a step hangs."""
        return EngineActivity("idle") if self._thread is None else self._thread.activity()

    async def close(self) -> None:
        """Stop loads, cancel requests, free every model, end the thread. May be called again."""
        self._closing = True
        unloading = [self._begin_unloading(slot, drain=False) for slot in self._slots.values()]
        if unloading:
            await asyncio.wait(unloading)
        if self._thread is not None:
            await self._thread.close()

    async def _load(self, slot: _Slot) -> AsyncInferenceEngine:
        async with self._load_turn:
            config = replace(slot.config, memory_budget_bytes=self._remaining_budget(slot.config))
            engine = await load_on_thread(config, lambda progress: self._hear(slot, progress))
            if self._thread is None:
                self._thread = EngineThread()
            # Before the next load's turn, which counts this model's memory.
            slot.engine = AsyncInferenceEngine.attach(engine, self._thread)
            return slot.engine

    async def _join(self, slot: _Slot, progress: LoadListener | None) -> AsyncInferenceEngine:
        loading = slot.loading
        assert loading is not None
        if progress is not None:
            slot.listeners.append(progress)
            if slot.progress is not None:
                progress(slot.progress)
        slot.waiters += 1
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            if loading.cancelled():
                raise Cancelled(f"model {slot.name!r} was unloaded while it was loading") from None
            raise
        finally:
            slot.waiters -= 1
            if progress is not None:
                slot.listeners.remove(progress)
            if slot.waiters == 0 and not loading.done():
                loading.cancel()
                await asyncio.wait([loading])

    def _settle(self, key: str, slot: _Slot, loading: asyncio.Task[AsyncInferenceEngine]) -> None:
        if loading.cancelled():
            if self._slots.get(key) is slot:
                del self._slots[key]
            return
        error = loading.exception()
        if error is None:
            if slot.state is ModelState.LOADING:
                slot.state = ModelState.READY
        else:
            slot.state = ModelState.ERROR
            slot.error = error if isinstance(error, SidecarError) else _unexpected(slot.name, error)
        self._tell(slot)

    def _begin_unloading(self, slot: _Slot, *, drain: bool) -> asyncio.Task[None]:
        if slot.unloading is None:
            slot.unloading = asyncio.create_task(self._unload(slot, drain=drain))
        elif not drain and slot.engine is not None:
            slot.engine.cancel_all_requests()
        return slot.unloading

    async def _unload(self, slot: _Slot, *, drain: bool) -> None:
        slot.state = ModelState.UNLOADING
        self._tell(slot)
        if slot.loading is not None:
            slot.loading.cancel()
            await asyncio.wait([slot.loading])
        if slot.engine is not None:
            await slot.engine.close(drain=drain)
        self._slots = {key: other for key, other in self._slots.items() if other is not slot}

    def _find(self, name: str) -> _Slot | None:
        return next((slot for slot in self._slots.values() if name in slot.names or name == slot.name), None)

    def _remaining_budget(self, config: EngineConfig) -> int | None:
        if config.memory_budget_bytes is None:
            return None
        engines = [slot.engine for slot in self._slots.values() if slot.engine is not None]
        used = sum(engine.model_info.memory_bytes for engine in engines)
        return max(1, config.memory_budget_bytes - used)

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise ShuttingDown("the engine is shutting down and loads no more models")

    def _hear(self, slot: _Slot, progress: LoadProgress) -> None:
        slot.progress = progress
        for listener in tuple(slot.listeners):
            listener(progress)

    def _tell(self, slot: _Slot) -> None:
        if self._on_change is not None:
            self._on_change(slot.status())


def _unexpected(name: str, error: BaseException) -> InternalError:
    return InternalError(
        f"loading model {name!r} failed with {type(error).__name__}: a bug of ours, see the log"
    )
