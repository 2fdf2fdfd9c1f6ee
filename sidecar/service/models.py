"""models.*"""

import asyncio

from sidecar.config import LibrarySettings
from sidecar.engine.engine_pool import EnginePool
from sidecar.engine.info import ModelStatus as PoolStatus
from sidecar.library.resolve import list_models
from sidecar.service.context import RequestContext
from sidecar.service.dispatcher import Handler
from sidecar.service.engines import loading_listener
from sidecar_protocol.common import Done
from sidecar_protocol.models import (
    ModelList,
    ModelsList,
    ModelsLoad,
    ModelsStatus,
    ModelStatus,
    ModelStatusList,
    ModelSummary,
    ModelsUnload,
)


def model_handlers(pool: EnginePool, library: LibrarySettings) -> dict[str, Handler]:
    """Handlers of the models namespace."""

    async def list_all(params: ModelsList, context: RequestContext) -> ModelList:
        found = await asyncio.to_thread(list_models, library)
        loaded = {status.info.path for status in pool.status() if status.info is not None}
        return ModelList(
            models=[
                ModelSummary(
                    name=entry.name,
                    path=str(entry.path),
                    origin=entry.origin,
                    file_format=entry.file_format,
                    file_bytes=entry.file_bytes,
                    loaded=entry.path in loaded,
                )
                for entry in found
            ]
        )

    async def load(params: ModelsLoad, context: RequestContext) -> ModelStatus:
        engine = await pool.acquire(params.model, loading_listener(params.model, context.emit))
        return next(
            _status(status)
            for status in pool.status()
            if status.info is not None and status.info.path == engine.model_info.path
        )

    async def unload(params: ModelsUnload, context: RequestContext) -> Done:
        await pool.unload(params.model)
        return Done()

    async def status(params: ModelsStatus, context: RequestContext) -> ModelStatusList:
        return ModelStatusList(models=[_status(item) for item in pool.status()])

    return {"models.list": list_all, "models.load": load, "models.unload": unload, "models.status": status}


def _status(status: PoolStatus) -> ModelStatus:
    info, stats = status.info, status.stats
    return ModelStatus(
        name=status.name,
        state=status.state.value,
        error=None if status.error is None else status.error.message,
        executor=None if info is None else info.executor,
        device=None if info is None else info.device,
        kernel_path=None if info is None else info.kernel_path,
        quantization=None if info is None else info.quantization,
        context_length=None if info is None else info.context_length,
        parameters=None if info is None else info.parameter_count,
        running=None if stats is None else stats.running,
        waiting=None if stats is None else stats.waiting,
    )
