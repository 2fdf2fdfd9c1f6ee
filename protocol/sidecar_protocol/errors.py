"""Errors as they cross the wire."""

from typing import Annotated, Final

from sidecar_protocol.base import HostParams, Result, open_enum

ERROR_CODES: Final = (
    "invalid_message",
    "too_large",
    "unsupported_protocol",
    "method_not_found",
    "invalid_params",
    "unauthorized",
    "permission_denied",
    "not_found",
    "conflict",
    "busy",
    "deadline_exceeded",
    "cancelled",
    "model_not_loaded",
    "model_load_failed",
    "context_overflow",
    "out_of_memory",
    "unsupported",
    "slow_consumer",
    "needs_auth",
    "upstream_failed",
    "shutting_down",
    "internal",
)


ErrorCode = Annotated[str, open_enum(*ERROR_CODES)]
"""What kind of error it is."""


class ErrorBody(Result):
    """Body of `err`: what was wrong, where, and what would be accepted."""

    code: ErrorCode
    message: str
    retryable: bool = False
    """Whether the same request may succeed later without being changed."""
    data: dict[str, object] = {}
    """What a program may want to read."""


class ProtocolError(Exception):
    """Bytes or a message that break the contract; `code` is one of ERROR_CODES."""

    def __init__(self, code: str, message: str, data: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data or {}


class ProtocolErrorNotice(HostParams):
    """A message of the host was ignored because it breaks the contract."""

    code: ErrorCode
    message: str
    id: int | None = None
    """The id the message carried."""
    limit: int | None = None
    """The highest request id used so far on this connection."""
