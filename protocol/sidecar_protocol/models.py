"""models.*: the models on this computer and in memory."""

from typing import Annotated, ClassVar

from sidecar_protocol.base import Coalesce, Event, Params, Result, StreamingParams, open_enum
from sidecar_protocol.common import Done, Empty, LoadingEvent
from sidecar_protocol.registry import method

ModelState = Annotated[str, open_enum("loading", "ready", "unloading", "error")]
"""Where a model is between disk and memory."""
ModelOrigin = Annotated[str, open_enum("path", "folder", "models.toml", "package")]
"""Where a model was found."""
ModelFormat = Annotated[str, open_enum("gguf", "safetensors")]
"""What kind of file, or folder of files, a model is."""
PullStage = Annotated[str, open_enum("resolve", "download", "verify", "store")]
"""What of pulling a model is being done."""
LOAD_ERRORS = ("not_found", "model_load_failed", "out_of_memory", "slow_consumer")


class ModelSummary(Result):
    """A model that can be loaded."""

    name: str
    path: str
    origin: ModelOrigin
    file_format: ModelFormat
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


class MemoryEstimate(Result):
    """Bytes a model would take; nothing is loaded to find out."""

    weights_bytes: int
    cache_bytes: int
    """Keys and values of `context_length` tokens."""
    scratch_bytes: int
    """Buffers of the widest step."""
    total_bytes: int
    available_bytes: int
    """What the memory budget leaves now."""
    context_length: int
    """The context that the estimate is for."""


class ModelFacts(Result, kw_only=True):
    """What a model's files say about it."""

    path: str
    file_format: ModelFormat
    name: str | None = None
    license: str | None = None
    architecture: str
    parameters: int
    quantization: dict[str, float]
    """Storage types, each with its share of all elements."""
    context_length: int | None = None
    file_bytes: int
    has_chat_template: bool
    memory: MemoryEstimate | None = None
    """None for a model that cannot run here."""
    problem: str | None = None
    """Why it cannot run here; None when it can."""


class PulledModel(Result):
    """A model that is on this computer now."""

    model: ModelSummary
    downloaded_bytes: int
    """0 when it was here already."""


class PullEvent(Event, kw_only=True, tag="pull"):
    """How a download goes."""

    coalesce: ClassVar[Coalesce] = Coalesce.KEEP_LAST

    stage: PullStage
    file: str | None = None
    """The file being fetched."""
    done_bytes: int
    total_bytes: int | None = None
    """None until it is known."""


@method("models.list", result=ModelList)
class ModelsList(Empty):
    """Models found in the host's folders, models.toml and installed packages."""


@method("models.load", result=ModelStatus, events=LoadingEvent, errors=LOAD_ERRORS)
class ModelsLoad(StreamingParams, kw_only=True):
    """Bring a model into memory; converts it first when that was never done on this computer."""

    model: str


@method("models.unload", result=Done, errors=("not_found", "model_not_loaded"))
class ModelsUnload(Params, kw_only=True):
    """Take a model out of memory; its running requests end as cancelled."""

    model: str


@method("models.status", result=ModelStatusList)
class ModelsStatus(Empty):
    """State of every model this process has loaded or tried to."""


@method(
    "models.inspect",
    result=ModelFacts,
    errors=("not_found", "model_load_failed"),
    cancellable=True,
    capability="model_library",
)
class ModelsInspect(Params):
    """What a model is and how much memory it would take, from its files alone."""

    model: str
    context_length: int | None = None
    """The context to estimate memory for; None: what models.load would choose."""


@method(
    "models.pull",
    result=PulledModel,
    events=PullEvent,
    errors=("not_found", "permission_denied", "needs_auth", "upstream_failed", "conflict"),
    capability="model_library",
)
class ModelsPull(StreamingParams, kw_only=True):
    """Bring a model onto this computer. What was fetched before a failure is not fetched again."""

    model: str
    """Where it comes from, such as hf:owner/repository or an https address."""
    name: str | None = None
    """What to call it; None: as its source does."""
    file: str | None = None
    """Which of the repository's files; None: the best that fits this computer."""
    sha256: str | None = None
    """Refuse anything else."""


@method("models.remove", result=Done, errors=("not_found", "conflict"), capability="model_library")
class ModelsRemove(Params):
    """Delete a pulled model and its converted form; a loaded one must be unloaded first."""

    model: str
