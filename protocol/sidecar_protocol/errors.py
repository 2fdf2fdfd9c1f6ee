"""Errors as they cross the wire."""

from typing import Final

import msgspec

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


class ErrorBody(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Body of `err`: what was wrong, where, and what would be accepted. `code` is one of ERROR_CODES."""

    code: str
    message: str
    retryable: bool = False
    data: dict[str, object] = {}


class ProtocolError(Exception):
    """Bytes or a message that break the contract; `code` is one of ERROR_CODES."""

    def __init__(self, code: str, message: str, data: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data or {}


class ProtocolErrorNotice(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Params of `ntf protocol.error`: a message that was ignored because it breaks the contract."""

    code: str
    message: str
    id: int | None = None
    """The id the message carried."""
    limit: int | None = None
    """The highest request id used so far on this connection."""
