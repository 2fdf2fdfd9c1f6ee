"""models.*: the models on this computer and in memory."""

from typing import Literal

from sidecar_protocol.base import Params, Result, StreamingParams
from sidecar_protocol.common import Done, Empty, LoadingEvent
from sidecar_protocol.registry import method

ModelState = Literal["loading", "ready", "unloading", "error"]


class ModelSummary(Result):
    """A model that can be loaded. `origin` says where it was found."""

    name: str
    path: str
    origin: str
    file_format: str
    file_bytes: int
    loaded: bool


class ModelList(Result):
    """Every model found."""

    models: list[ModelSummary]


class ModelStatus(Result):
    """A model that is in memory, on its way there, or failed to get there."""

    name: str
    state: ModelState
    error: str | None = None
    executor: str | None = None
    device: str | None = None
    kernel_path: str | None = None
    quantization: str | None = None
    context_length: int | None = None
    parameters: int | None = None
    running: int | None = None
    waiting: int | None = None


class ModelStatusList(Result):
    """The models this process has loaded or tried to."""

    models: list[ModelStatus]


@method("models.list", result=ModelList)
class ModelsList(Empty):
    """Models found in the host's folders, models.toml and installed packages."""


@method("models.load", result=ModelStatus, events=LoadingEvent)
class ModelsLoad(StreamingParams, kw_only=True):
    """Bring a model into memory; converts it first when that was never done on this computer."""

    model: str


@method("models.unload", result=Done)
class ModelsUnload(Params, kw_only=True):
    """Take a model out of memory; its running requests end as cancelled."""

    model: str


@method("models.status", result=ModelStatusList)
class ModelsStatus(Empty):
    """State of every model this process has loaded or tried to."""
