"""engine.*"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from sidecar.engine.engine_pool import EnginePool
from sidecar.engine.info import ModelStatus as PoolStatus
from sidecar.ports import ProcessControl
from sidecar.service.context import RequestContext
from sidecar.service.dispatcher import Handler
from sidecar_protocol.common import Done
from sidecar_protocol.engine import (
    BlockStats,
    EngineInfo,
    EngineInfoRequest,
    EngineLogs,
    EnginePing,
    EngineSetLogLevel,
    EngineShutdown,
    EngineStats,
    EngineStatsRequest,
    EngineWatch,
    FrameEvent,
    LogEvent,
    ModelStats,
    Pong,
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the transport carries at the moment."""

    connections: int
    active_requests: int


def engine_handlers(
    info: EngineInfo, pool: EnginePool, process: ProcessControl, traffic: Callable[[], Traffic]
) -> dict[str, Handler]:
    """Handlers of the engine namespace."""
    started = time.monotonic()

    def uptime_ms() -> int:
        return int((time.monotonic() - started) * 1000)

    async def describe(params: EngineInfoRequest, context: RequestContext) -> EngineInfo:
        return info

    async def stats(params: EngineStatsRequest, context: RequestContext) -> EngineStats:
        now = traffic()
        resident_bytes, cpu_seconds = await asyncio.to_thread(_resources)
        return EngineStats(
            uptime_ms=uptime_ms(),
            resident_bytes=resident_bytes,
            cpu_ms=int(cpu_seconds * 1000),
            connections=now.connections,
            active_requests=now.active_requests,
            models=[_model_stats(status) for status in pool.status() if status.stats is not None],
        )

    async def ping(params: EnginePing, context: RequestContext) -> Pong:
        activity = pool.activity()
        return Pong(phase=activity.phase, step_age_ms=round(activity.age * 1000, 3), uptime_ms=uptime_ms())

    async def set_log_level(params: EngineSetLogLevel, context: RequestContext) -> Done:
        process.set_log_level(params.level)
        return Done()

    async def logs(params: EngineLogs, context: RequestContext) -> Done:
        threshold = logging.getLevelNamesMapping()[params.level.upper()]

        def pass_on(record: Mapping[str, object]) -> None:
            event = msgspec.convert(record, LogEvent)
            if logging.getLevelNamesMapping()[event.level.upper()] >= threshold:
                context.emit(event)

        return await _until_cancelled(process.tap_logs(pass_on))

    async def watch(params: EngineWatch, context: RequestContext) -> Done:
        def pass_on(frame: Mapping[str, object]) -> None:
            context.emit(msgspec.convert(frame, FrameEvent))

        return await _until_cancelled(process.tap_frames(pass_on))

    async def shutdown(params: EngineShutdown, context: RequestContext) -> Done:
        process.shutdown(params.grace_ms / 1000)
        return Done()

    return {
        "engine.info": describe,
        "engine.stats": stats,
        "engine.ping": ping,
        "engine.set_log_level": set_log_level,
        "engine.logs": logs,
        "engine.watch": watch,
        "engine.shutdown": shutdown,
    }


async def _until_cancelled(stop: Callable[[], None]) -> Done:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        stop()
    return Done()


def _resources() -> tuple[int, float]:
    """Resident bytes and CPU seconds of this process."""
    import psutil

    process = psutil.Process()
    times = process.cpu_times()
    return process.memory_info().rss, times.user + times.system


def _model_stats(status: PoolStatus) -> ModelStats:
    info, stats = status.info, status.stats
    assert info is not None
    assert stats is not None
    return ModelStats(
        name=status.name,
        executor=info.executor,
        device=info.device,
        kernel_path=info.kernel_path,
        quantization=info.quantization,
        running=stats.running,
        waiting=stats.waiting,
        steps=stats.steps,
        prompt_tokens=stats.prompt_tokens,
        cached_tokens=stats.cached_prompt_tokens,
        completion_tokens=stats.generated_tokens,
        preemptions=stats.preemptions,
        blocks=BlockStats(
            total=stats.blocks_total,
            used=stats.blocks_total - stats.blocks_free - stats.blocks_cached,
            cached=stats.blocks_cached,
        ),
    )
