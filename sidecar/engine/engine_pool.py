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
    LoadStage,
    ModelState,
    ModelStatus,
)
from sidecar.engine.loader_thread import load_on_thread
from sidecar.engine.loading import model_identity
from sidecar.errors import Cancelled, Conflict, InternalError, ModelNotLoaded, ShuttingDown, SidecarError

StatusListener = Callable[[ModelStatus], None]


@dataclass(slots=True, eq=False)
class _Slot:
    """One model's place in the pool."""

    name: str
    config: EngineConfig
    state: ModelState = ModelState.LOADING
    aliases: set[str] = field(default_factory=set)
    task: asyncio.Task[AsyncInferenceEngine] | None = None
    listeners: list[LoadListener] = field(default_factory=list)
    waiters: int = 0
    progress: LoadProgress | None = None
    error: SidecarError | None = None
    engine: AsyncInferenceEngine | None = None


class EnginePool:
    """The models of this process. Everything is called on the loop it was made on.

    `base` holds what every model shares (device, threads, library, …);
    `base.memory_budget_bytes` is for all models together. `on_change` hears of
    every change of state.
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
        self,
        name: str,
        *,
        config: EngineConfig | None = None,
        progress: LoadListener | None = None,
    ) -> AsyncInferenceEngine:
        """The model's engine, once it is in memory. Concurrent loads of one model share the work.

        `config` replaces the pool's base for this model (its `model` is set to
        `name`). Cancelling the last waiting caller stops the load. Raises
        NotFound, ModelError, OutOfMemory, Unsupported; Conflict when the model
        is in memory with another config; Cancelled when it is unloaded
        meanwhile; ShuttingDown.
        """
        wanted = replace(config or self.base, model=name)
        while True:
            identity = await asyncio.to_thread(model_identity, wanted)
            if self._closing:
                raise ShuttingDown("the engine is shutting down and loads no more models")
            slot = self._slots.get(identity.key)
            if slot is None or slot.state is not ModelState.UNLOADING:
                break
            await self._left(slot)
        if slot is not None and slot.engine is not None and slot.engine.failure is not None:
            await self.unload(slot.name)
            return await self.load(name, config=config, progress=progress)
        if slot is None or slot.state is ModelState.ERROR:
            slot = self._slots[identity.key] = _Slot(identity.name, wanted)
            slot.task = asyncio.create_task(self._load(slot))
            self._changed(slot)
        elif config is not None and replace(wanted, model=slot.config.model) != slot.config:
            raise Conflict(
                f"model {slot.name!r} is in memory with other settings; unload it before loading it with these"
            )
        slot.aliases.add(name)
        return await self._join(slot, progress)
