"""The one exception tree.

SidecarError
├── RequestError             this request failed; everything else goes on
│   ├── InvalidMessage       a frame or envelope that cannot be read
│   ├── MessageTooLarge      above the message limit
│   ├── UnsupportedProtocol  no common protocol version
│   ├── MethodNotFound
│   ├── InvalidParams        a parameter is unknown, missing or out of range
│   ├── Unauthorized
│   ├── PermissionDenied
│   ├── NotFound
│   ├── Conflict
│   ├── Busy                 a bounded queue is full; retry later
│   ├── DeadlineExceeded     carries the partial output
│   ├── Cancelled            carries the partial output
│   ├── ContextOverflow      the prompt does not fit the model's context
│   ├── OutOfMemory
│   ├── Unsupported          known, but not built or not installed here
│   ├── SlowConsumer         the reader of a stream fell too far behind
│   ├── NeedsAuth
│   ├── UpstreamFailed
│   └── ShuttingDown
├── ModelError               a model cannot be used; other models serve on
│   ├── ModelNotLoaded
│   └── ModelLoadFailed
│       └── InvalidModelFile a model file that is truncated, corrupt or hostile
└── InternalError            a bug of ours; the message never holds user content

Every message says what was wrong, where, and what would be right. `code` is the
error's name on the wire; `data` holds what a program may want to read.
"""

from collections.abc import Mapping
from typing import ClassVar


class SidecarError(Exception):
    """Root of the tree.

    `message` is for people, `data` for programs; `retryable` says whether the
    same request may succeed later without being changed.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, data: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.data: dict[str, object] = dict(data or {})


class RequestError(SidecarError):
    """One request failed; everything else goes on."""

    code = "invalid_params"


class InvalidMessage(RequestError):
    """A frame or envelope that cannot be read."""

    code = "invalid_message"


class MessageTooLarge(RequestError):
    """A message above the size limit; `data` has `size` and `limit` in bytes."""

    code = "too_large"


class UnsupportedProtocol(RequestError):
    """No protocol version is common to both sides; `data.supported` lists ours."""

    code = "unsupported_protocol"


class MethodNotFound(RequestError):
    """No such method; `data.nearest` may name the one that was meant."""

    code = "method_not_found"


class InvalidParams(RequestError):
    """A parameter is unknown, missing or out of range; `data.parameter` names it."""

    code = "invalid_params"

    def __init__(
        self, message: str, *, parameter: str | None = None, data: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message, data={**({"parameter": parameter} if parameter else {}), **(data or {})})
        self.parameter = parameter


class Unauthorized(RequestError):
    """The peer did not prove who it is."""

    code = "unauthorized"


class PermissionDenied(RequestError):
    """The peer is known, but may not do this."""

    code = "permission_denied"


class NotFound(RequestError):
    """A named thing does not exist."""

    code = "not_found"


class Conflict(RequestError):
    """The request contradicts the present state."""

    code = "conflict"


class Busy(RequestError):
    """A bounded queue is full; `data.retry_after_ms` is the advised wait."""

    code = "busy"
    retryable = True

    def __init__(self, message: str, *, retry_after_ms: int = 1000) -> None:
        super().__init__(message, data={"retry_after_ms": retry_after_ms})


class DeadlineExceeded(RequestError):
    """The request's time ran out; `data.partial` is what there was by then."""

    code = "deadline_exceeded"
    retryable = True


class Cancelled(RequestError):
    """The request was cancelled; `data.partial` is what there was by then."""

    code = "cancelled"


class ContextOverflow(RequestError):
    """The prompt does not fit; `data` has `prompt_tokens` and `context_length`."""

    code = "context_overflow"


class OutOfMemory(RequestError):
    """Not enough memory; `data` has `needed_bytes` and `available_bytes` where known."""

    code = "out_of_memory"


class Unsupported(RequestError):
    """Known, but not built or not installed here; the message names what is missing."""

    code = "unsupported"


class SlowConsumer(RequestError):
    """The reader of a stream fell too far behind."""

    code = "slow_consumer"


class NeedsAuth(RequestError):
    """A third party wants the user to sign in."""

    code = "needs_auth"


class UpstreamFailed(RequestError):
    """A third party failed."""

    code = "upstream_failed"
    retryable = True


class ShuttingDown(RequestError):
    """The sidecar is ending and takes no new work."""

    code = "shutting_down"


class ModelError(SidecarError):
    """A model cannot be used; other models serve on."""

    code = "model_load_failed"


class ModelNotLoaded(ModelError):
    """The model is not in memory."""

    code = "model_not_loaded"


class ModelLoadFailed(ModelError):
    """The model could not be brought into memory."""

    code = "model_load_failed"


class InvalidModelFile(ModelLoadFailed):
    """A model file that is truncated, corrupt or hostile; `data.path` names it."""

    def __init__(self, path: object, problem: str) -> None:
        super().__init__(f"{path}: {problem}", data={"path": str(path)})


class InternalError(SidecarError):
    """A bug of ours."""

    code = "internal"
