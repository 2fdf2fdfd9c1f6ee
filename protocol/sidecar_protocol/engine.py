"""engine.*: the process itself."""

from typing import Annotated, ClassVar, Literal

from sidecar_protocol.base import Coalesce, Event, Params, Result, open_enum
from sidecar_protocol.common import Done, Empty
from sidecar_protocol.registry import method

LogLevel = Literal["debug", "info", "warning", "error"]
"""How much is logged: this and what is graver."""
FrameDirection = Literal["in", "out"]
"""From the host, or to it."""
EnginePhase = Annotated[str, open_enum("idle", "schedule", "execute", "postprocess")]
"""What the engine thread does at the moment."""


class EngineInfo(Result):
    """What is running."""

    version: str
    protocol: int
    boot_id: str
    pid: int
    app_id: str
    platform: str
    python: str
    executors: list[str]
    """Executors this installation has, the preferred one first."""
    data_dir: str
    cache_dir: str


class BlockStats(Result):
    """Cache blocks of one model."""

    total: int
    used: int
    cached: int


class ModelStats(Result):
    """Work of one loaded model since it was loaded."""

    name: str
    executor: str
    device: str
    kernel_path: str
    quantization: str
    running: int
    waiting: int
    steps: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    preemptions: int
    blocks: BlockStats


class EngineStats(Result):
    """Use of resources."""

    uptime_ms: int
    resident_bytes: int
    cpu_ms: int
    connections: int
    active_requests: int
    models: list[ModelStats]


class Pong(Result):
    """What the engine thread does, and for how long: an old "execute" is a long step, not a dead engine."""

    phase: str
    step_age_ms: float
    uptime_ms: int


class LogEvent(Event, tag="log"):
    """One log record; `time` is seconds since the epoch."""

    level: LogLevel
    time: float
    logger: str
    message: str
    fields: dict[str, object] = {}


class FrameEvent(Event, tag="frame", kw_only=True):
    """One message that crossed the transport; a long body is cut, `body_bytes` says how long it was."""

    coalesce: ClassVar[Coalesce] = Coalesce.NEVER

    direction: FrameDirection
    connection: str
    time: float
    header: dict[str, object]
    body: object = None
    body_bytes: int


@method("engine.info", result=EngineInfo)
class EngineInfoRequest(Empty):
    """Version, process, folders and what can run models here."""


@method("engine.stats", result=EngineStats)
class EngineStatsRequest(Empty):
    """Memory, requests and tokens, for the process and each model."""


@method("engine.ping", result=Pong)
class EnginePing(Empty):
    """Whether the engine is alive and what it is doing."""


@method("engine.set_log_level", result=Done)
class EngineSetLogLevel(Params, kw_only=True):
    """Log more or less from now on."""

    level: LogLevel


@method("engine.logs", result=Done, events=LogEvent)
class EngineLogs(Params, kw_only=True):
    """Log records from now on, until cancelled. Streams always."""

    level: LogLevel = "info"
    stream: bool = True


@method("engine.watch", result=Done, events=FrameEvent, debug_only=True)
class EngineWatch(Params, kw_only=True):
    """Every message that crosses the transport, until cancelled; debug connections only. Streams always."""

    stream: bool = True


@method("engine.shutdown", result=Done)
class EngineShutdown(Params, kw_only=True):
    """End the process in order: running requests get `grace_ms` to finish, then are cancelled."""

    grace_ms: int = 0
