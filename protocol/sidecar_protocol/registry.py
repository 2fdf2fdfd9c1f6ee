"""The method registry: what can be asked and told, in both directions.

@method("tokens.encode", result=TokensEncoded)
class TokensEncode(Params):
    "Turn text into token ids."

Importing a namespace's module declares its methods; `find_method` imports those
that nobody has needed so far, so that starting up costs what is served alone.
"""

import enum
import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar, get_args

import msgspec

from sidecar_protocol.base import Event, HostParams, Params, Result
from sidecar_protocol.capabilities import CAPABILITIES
from sidecar_protocol.errors import ERROR_CODES

COMMON_ERRORS: Final = (
    "invalid_params",
    "too_large",
    "busy",
    "deadline_exceeded",
    "cancelled",
    "unsupported",
    "shutting_down",
    "internal",
)
"""Codes that any request may end with; a method declares those beyond them."""


class Direction(enum.Enum):
    """Who asks."""

    HOST_TO_ENGINE = "host_to_engine"
    ENGINE_TO_HOST = "engine_to_host"


Normaliser = Callable[[object], object]
"""Adds to plain params what callers may leave out; gives back its argument or a changed copy."""


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One method of the protocol."""

    name: str
    direction: Direction = Direction.HOST_TO_ENGINE
    params: type[Params] | type[HostParams]
    result: type[Result]
    event_union: Any = None
    """The events as they were declared: one event type, or the named union of several."""
    doc: str = ""
    errors: tuple[str, ...] = ()
    """Codes beyond COMMON_ERRORS that it may end with."""
    idempotent: bool = False
    """Whether it takes an idempotency key."""
    cancellable: bool = False
    """Whether there is work that a cancel ends; others answer at once."""
    capability: str | None = None
    """What the engine must have in welcome.capabilities; of a request to the host: the host in its hello."""
    since: int = 1
    deprecated: str | None = None
    """Since when, and what to use instead."""
    debug_only: bool = False
    normalise: Normaliser | None = None

    @property
    def events(self) -> tuple[type[Event], ...]:
        """The event types it may stream."""
        return () if self.event_union is None else get_args(self.event_union) or (self.event_union,)

    @property
    def streams(self) -> bool:
        """Whether it may stream events."""
        return self.event_union is not None


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """Something the engine tells without being asked."""

    name: str
    params: type[HostParams]
    doc: str
    since: int = 1


ParamsType = TypeVar("ParamsType", bound=Params)
HostParamsType = TypeVar("HostParamsType", bound=HostParams)

METHODS: dict[str, Method] = {}
HOST_REQUESTS: dict[str, Method] = {}
NOTIFICATIONS: dict[str, Notification] = {}


def method(
    name: str,
    *,
    result: type[Result],
    events: Any = None,
    errors: tuple[str, ...] = (),
    idempotent: bool = False,
    cancellable: bool | None = None,
    capability: str | None = None,
    since: int = 1,
    deprecated: str | None = None,
    debug_only: bool = False,
    normalise: Normaliser | None = None,
) -> Callable[[type[ParamsType]], type[ParamsType]]:
    """Register the decorated Params class as what the method `name` takes.

    `events` is an event type or a named union of several; what streams can be
    cancelled unless told otherwise.
    """

    def register(params: type[ParamsType]) -> type[ParamsType]:
        _check_names(name, errors, capability)
        METHODS[name] = Method(
            name=name,
            params=params,
            result=result,
            event_union=events,
            doc=inspect.cleandoc(params.__doc__ or ""),
            errors=errors,
            idempotent=idempotent,
            cancellable=events is not None if cancellable is None else cancellable,
            capability=capability,
            since=since,
            deprecated=deprecated,
            debug_only=debug_only,
            normalise=normalise,
        )
        return params

    return register


def host_request(
    name: str, *, result: type[Result], errors: tuple[str, ...] = (), since: int = 1
) -> Callable[[type[HostParamsType]], type[HostParamsType]]:
    """Register the decorated class as what the engine asks with, of hosts that declared it in their hello."""

    def register(params: type[HostParamsType]) -> type[HostParamsType]:
        _check_names(name, errors, None)
        HOST_REQUESTS[name] = Method(
            name=name,
            direction=Direction.ENGINE_TO_HOST,
            params=params,
            result=result,
            doc=inspect.cleandoc(params.__doc__ or ""),
            errors=errors,
            cancellable=True,
            capability=name,
            since=since,
        )
        return params

    return register


def notification(name: str, *, since: int = 1) -> Callable[[type[HostParamsType]], type[HostParamsType]]:
    """Register the decorated class as what the notification `name` carries."""

    def register(params: type[HostParamsType]) -> type[HostParamsType]:
        doc = inspect.cleandoc(params.__doc__ or "")
        NOTIFICATIONS[name] = Notification(name=name, params=params, doc=doc, since=since)
        return params

    return register


def find_method(name: str) -> Method | None:
    """The method of a host's request; None when no version of this protocol declares it."""
    if name in METHODS:
        return METHODS[name]
    from sidecar_protocol import methods

    return methods.METHODS.get(name)


def _check_names(name: str, errors: tuple[str, ...], capability: str | None) -> None:
    unknown = set(errors) - set(ERROR_CODES)
    if unknown:
        raise ValueError(f"{name} declares errors that the protocol does not have: {sorted(unknown)}")
    if capability is not None and capability not in CAPABILITIES:
        raise ValueError(f"{name} needs {capability!r}, which is not in CAPABILITIES")
