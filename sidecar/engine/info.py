"""What an engine and the pool tell about themselves: plain records."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sidecar.errors import SidecarError


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model in memory. Lengths in tokens."""

    name: str
    path: Path
    architecture: str
    parameter_count: int
    vocab_size: int
    context_length: int
    """What this engine accepts: at most the model's own length and what the cache holds."""
    model_context_length: int
    bos_token_id: int | None
    eos_token_ids: tuple[int, ...]
    chat_template: str | None
    executor: str
    device: str
    kernel_path: str
    """The executor's instruction set; empty where it has no choice of one."""
    quantization: str
    cache_tokens: int
    cache_bytes: int
    weights_bytes: int
    memory_bytes: int
    """Estimate of everything it takes: weights, cache, working space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """Counters since the engine's start, and what it does now."""

    running: int
    """Choices being computed."""
    waiting: int
    """Choices that wait, preempted ones included."""
    blocks_total: int
    blocks_free: int
    blocks_cached: int
    """Held for the prefix cache alone; given up when room is needed."""
    steps: int
    prompt_tokens: int
    """Prompt tokens computed; those found in the prefix cache are not among them."""
    cached_prompt_tokens: int
    generated_tokens: int
    preemptions: int
    requests_finished: int


@dataclass(frozen=True, slots=True)
class EngineActivity:
    """What the engine thread does at this moment.

    `phase` is "idle", "schedule", "execute" or "postprocess"; `model` and the
    age of the step in seconds are set while it is not idle.
    """

    phase: str
    age: float = 0.0
    model: str | None = None


class LoadStage(enum.Enum):
    """The parts of a load, in order; `CONVERT` only where the run-ready form differs from the file."""

    RESOLVE = "resolve"
    CONVERT = "convert"
    LOAD = "load"
    ALLOCATE = "allocate"


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far a load is: `fraction` of its stage, 0 to 1."""

    stage: LoadStage
    fraction: float


LoadListener = Callable[[LoadProgress], None]


class ModelState(enum.Enum):
    """Where a model of the pool is."""

    LOADING = "loading"
    READY = "ready"
    ERROR = "error"
    """The load failed, or the engine died; `ModelStatus.error` says why."""
    UNLOADING = "unloading"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One model of the pool."""

    name: str
    state: ModelState
    progress: LoadProgress | None = None
    error: SidecarError | None = None
    info: ModelInfo | None = None
    stats: EngineStats | None = None
