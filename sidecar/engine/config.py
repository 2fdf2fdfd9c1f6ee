"""How one engine is set up: which model, on what, with how much room."""

from dataclasses import dataclass, field

from sidecar.config import LibrarySettings
from sidecar.errors import InvalidParams
from sidecar.library.resolve import DEFAULT_MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Settings of one engine. Raises InvalidParams naming the field that is out of range.

    Lengths and cache sizes are in tokens. None means: found out when the model
    is known (see `sidecar.engine.memory`).
    """

    model: str = DEFAULT_MODEL
    """A name the library knows, or a path."""
    device: str = "auto"
    quantization: str = "auto"
    executor: str = "auto"
    threads: int | None = None
    kernel_path: str = "auto"
    """Instruction set of the native executor, to compare or to rule one out; see `sidecar doctor`."""
    cache_type: str = "auto"
    """Numbers of the key-value cache on the native executor: "float32", "float16", "bfloat16" or "int8"."""
    context_length: int | None = None
    """Prompt and completion together; never more than the model's own."""
    cache_tokens: int | None = None
    memory_budget_bytes: int | None = None
    """For weights and cache together; None: what the machine has to spare."""
    max_batch_tokens: int = 512
    """Tokens computed in one step; more of it makes long prompts faster and running streams less even."""
    max_running_requests: int = 32
    """Choices computed side by side; each of a request's `n` counts."""
    max_waiting_requests: int = 256
    """Requests that may wait for their first step; one more is refused with Busy."""
    prefix_cache: bool = True
    check_integrity: bool = False
    """Check the block accounts after every step; for tests and debugging."""
    library: LibrarySettings = field(default_factory=LibrarySettings)

    def __post_init__(self) -> None:
        for name in (
            "threads",
            "context_length",
            "cache_tokens",
            "memory_budget_bytes",
            "max_running_requests",
            "max_waiting_requests",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidParams(f"{name} is {value}; it must be an integer of at least 1", parameter=name)
        # Every running choice may take one token of a step; the one more lets prompts go on.
        if self.max_batch_tokens <= self.max_running_requests:
            raise InvalidParams(
                f"max_batch_tokens is {self.max_batch_tokens}; it must be above max_running_requests "
                f"({self.max_running_requests})",
                parameter="max_batch_tokens",
            )
        if self.context_length and self.cache_tokens and self.cache_tokens < self.context_length:
            raise InvalidParams(
                f"cache_tokens is {self.cache_tokens}; it must be at least context_length "
                f"({self.context_length})",
                parameter="cache_tokens",
            )
