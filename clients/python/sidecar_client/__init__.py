"""Python client of llm-sidecar: private LLM inference in a process of one's own.

async with Engine.spawn(app_id="my-app") as engine:
    async for text in engine.chat.stream(messages=[{"role": "user", "content": "Hello"}]).text():
        print(text, end="")
"""

from sidecar_client import errors
from sidecar_client.engine import Engine
from sidecar_client.errors import EngineError, EngineLost, StartFailed
from sidecar_client.host_handlers import HostHandlers
from sidecar_client.liveness import Liveness
from sidecar_client.notices import (
    EngineCrashed,
    EngineFrozen,
    EngineGaveUp,
    EngineRestarted,
    EngineThawed,
    Notice,
)
from sidecar_client.restart import RestartPolicy
from sidecar_client.stream import ChatStream, GenerateStream, Stream
from sidecar_client.sync import SyncEngine
from sidecar_client.tools import HostTools
from sidecar_client.version import __version__

__all__ = [
    "ChatStream",
    "Engine",
    "EngineCrashed",
    "EngineError",
    "EngineFrozen",
    "EngineGaveUp",
    "EngineLost",
    "EngineRestarted",
    "EngineThawed",
    "GenerateStream",
    "HostHandlers",
    "HostTools",
    "Liveness",
    "Notice",
    "RestartPolicy",
    "StartFailed",
    "Stream",
    "SyncEngine",
    "__version__",
    "errors",
]
