"""Models by name for the handlers: loads on first use, and tells the caller how the load goes."""

from sidecar.engine.async_engine import AsyncInferenceEngine
from sidecar.engine.engine_pool import EnginePool
from sidecar.engine.info import LoadListener, LoadProgress
from sidecar.openai.local import EngineSource, LoadingSink
from sidecar_protocol.common import LoadingEvent


def engine_source(pool: EnginePool) -> EngineSource:
    """Engines of the pool, by the name or path that a request gives."""

    async def acquire(model: str, tell: LoadingSink) -> AsyncInferenceEngine:
        return await pool.acquire(model, loading_listener(model, tell))

    return acquire


def loading_listener(model: str, tell: LoadingSink) -> LoadListener:
    """Turns the pool's progress into `loading` events."""

    def listen(progress: LoadProgress) -> None:
        tell(LoadingEvent(model=model, stage=progress.stage.value, fraction=progress.fraction))

    return listen
