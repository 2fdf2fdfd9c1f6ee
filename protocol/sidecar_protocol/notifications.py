"""What the engine tells without being asked."""

from typing import Annotated

from sidecar_protocol.base import HostParams, open_enum
from sidecar_protocol.engine import LogLevel
from sidecar_protocol.errors import ProtocolErrorNotice
from sidecar_protocol.mcp_servers import McpServerState
from sidecar_protocol.models import ModelStatus
from sidecar_protocol.registry import notification

McpChange = Annotated[str, open_enum("state", "tools", "prompts", "resources")]
"""What of a server has changed."""
PressureLevel = Annotated[str, open_enum("normal", "high", "critical")]
"""How short memory is."""

notification("protocol.error")(ProtocolErrorNotice)


@notification("models.changed")
class ModelsChanged(HostParams):
    """A model is being loaded, is ready, has gone or has failed."""

    model: ModelStatus


@notification("mcp.changed")
class McpChanged(HostParams):
    """A server's state, or what it offers, has changed."""

    server: str
    change: McpChange
    state: McpServerState


@notification("mcp.resource_updated")
class McpResourceUpdated(HostParams):
    """A subscribed resource has changed and may be read again."""

    server: str
    uri: str


@notification("engine.log")
class EngineLog(HostParams):
    """Something the person who runs the application should know; all records are in engine.logs."""

    level: LogLevel
    time: float
    """Seconds since the epoch."""
    logger: str
    message: str


@notification("engine.pressure")
class EnginePressure(HostParams):
    """Memory has become short, or is no longer."""

    level: PressureLevel
    resident_bytes: int
    budget_bytes: int
    available_bytes: int
    """What the computer has left."""
