"""Loading a model away from the asyncio thread."""

import asyncio
import threading

from sidecar.engine.config import EngineConfig
from sidecar.engine.inference_engine import InferenceEngine
from sidecar.engine.info import LoadListener, LoadProgress


async def load_on_thread(config: EngineConfig, progress: LoadListener | None = None) -> InferenceEngine:
    """Make an InferenceEngine on a worker thread; `progress` is called on the loop.

    Cancelling the task returns at once; the conversion or load then ends at its
    next progress report, and what it may have made is closed.
    """
    loop = asyncio.get_running_loop()
    cancelled = threading.Event()

    def report(step: LoadProgress) -> None:
        if progress is not None:
            loop.call_soon_threadsafe(progress, step)

    def load() -> InferenceEngine:
        return InferenceEngine(config, progress=report, cancelled=cancelled.is_set)

    loading = asyncio.ensure_future(asyncio.to_thread(load))
    try:
        return await asyncio.shield(loading)
    except asyncio.CancelledError:
        cancelled.set()
        loading.add_done_callback(_close_unwanted)
        raise


def _close_unwanted(loading: asyncio.Future[InferenceEngine]) -> None:
    if not loading.cancelled() and loading.exception() is None:
        loading.result().close()
