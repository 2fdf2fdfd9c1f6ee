"""What can go wrong, as exceptions.

EngineError              anything the engine, or its absence, answers with
├── one class per code of the protocol: InvalidParams, ContextOverflow, Busy, Cancelled …
├── StartFailed          no engine came up, or none could be attached to
└── EngineLost           it was there and is gone; nothing is ever sent again by itself

A code that this version does not know arrives as EngineError itself.
"""

from collections.abc import Mapping

from sidecar_protocol.errors import ErrorBody, ProtocolError


class EngineError(Exception):
    """An error the engine answered with.

    `code` and `message` are the protocol's, `data` holds what a program may want
    to read, `retryable` says whether the same request may succeed later.
    """

    code: str = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        data: Mapping[str, object] | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code if code is not None else type(self).code
        self.message = message
        self.data: dict[str, object] = dict(data or {})
        self.retryable = retryable

    @property
    def partial(self) -> object:
        """Of a cancelled or timed out request: what there was by then, as the method's result; else None."""
        return self.data.get("partial")


class InvalidMessage(EngineError):
    """A message that breaks the protocol."""

    code = "invalid_message"


class TooLarge(EngineError):
    """A message above the size limit; `data` has `size` and `limit` in bytes."""

    code = "too_large"


class UnsupportedProtocol(EngineError):
    """No protocol version is common to both sides."""

    code = "unsupported_protocol"


class MethodNotFound(EngineError):
    """There is no such method; `data["nearest"]` may name the one that was meant."""

    code = "method_not_found"


class InvalidParams(EngineError):
    """A parameter is unknown, missing or out of range; `data["parameter"]` names it."""

    code = "invalid_params"


class Unauthorized(EngineError):
    """This connection may not do that."""

    code = "unauthorized"


class PermissionDenied(EngineError):
    """Known, but not allowed."""

    code = "permission_denied"


class NotFound(EngineError):
    """A named thing, such as a model, does not exist."""

    code = "not_found"


class Conflict(EngineError):
    """The request contradicts the present state."""

    code = "conflict"


class Busy(EngineError):
    """A bounded queue is full; `data["retry_after_ms"]` is the advised wait."""

    code = "busy"


class DeadlineExceeded(EngineError):
    """The request's time ran out; `partial` is what there was by then."""

    code = "deadline_exceeded"


class Cancelled(EngineError):
    """The request was cancelled; `partial` is what there was by then."""

    code = "cancelled"


class ModelNotLoaded(EngineError):
    """The model is not in memory."""

    code = "model_not_loaded"


class ModelLoadFailed(EngineError):
    """The model could not be brought into memory."""

    code = "model_load_failed"


class ContextOverflow(EngineError):
    """The prompt does not fit the model's context."""

    code = "context_overflow"


class OutOfMemory(EngineError):
    """Not enough memory."""

    code = "out_of_memory"


class Unsupported(EngineError):
    """Known, but not built or not installed in this engine; the message names what is missing."""

    code = "unsupported"


class SlowConsumer(EngineError):
    """The reader of a stream fell too far behind."""

    code = "slow_consumer"


class NeedsAuth(EngineError):
    """A third party wants the user to sign in."""

    code = "needs_auth"


class UpstreamFailed(EngineError):
    """A third party failed."""

    code = "upstream_failed"


class ShuttingDown(EngineError):
    """The engine is ending and takes no new work."""

    code = "shutting_down"


class Internal(EngineError):
    """A bug in the engine; its log has the details."""

    code = "internal"


class StartFailed(EngineError):
    """No engine came up. `code` is the engine's own when it said why, else "start_failed"."""

    code = "start_failed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        data: Mapping[str, object] | None = None,
        exit_status: int | None = None,
        stderr_tail: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, code=code, data=data)
        self.exit_status = exit_status
        self.stderr_tail = stderr_tail


class EngineLost(EngineError):
    """The engine's process or its connection is gone.

    `exit_status` is the process's (negative: ended by that signal), None when it
    is not ours or unknown; `stderr_tail` its last lines. `may_have_executed` is
    False only when the request never left this process.
    """

    code = "engine_lost"

    def __init__(
        self,
        message: str,
        *,
        exit_status: int | None = None,
        stderr_tail: tuple[str, ...] = (),
        may_have_executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.exit_status = exit_status
        self.stderr_tail = stderr_tail
        self.may_have_executed = may_have_executed

    def for_request(self, *, sent: bool) -> "EngineLost":
        """The same loss, as one request saw it."""
        return EngineLost(
            self.message,
            exit_status=self.exit_status,
            stderr_tail=self.stderr_tail,
            may_have_executed=sent,
        )


ERRORS: dict[str, type[EngineError]] = {
    error.code: error for error in EngineError.__subclasses__() if error not in (StartFailed, EngineLost)
}


def error_from_body(body: ErrorBody) -> EngineError:
    """The protocol's error as the exception of its code."""
    kind = ERRORS.get(body.code, EngineError)
    return kind(body.message, code=body.code, data=body.data, retryable=body.retryable)


def error_from_protocol(error: ProtocolError) -> EngineError:
    """A breach of the protocol found on this side."""
    return error_from_body(ErrorBody(code=error.code, message=error.message, data=error.data))
