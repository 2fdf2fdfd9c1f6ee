"""What the typed methods are made of: params out, results and events back in as the protocol's types."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from sidecar_client.errors import InvalidMessage
from sidecar_client.reading import UnknownVariant, read
from sidecar_client.request import Request
from sidecar_client.stream import Stream
from sidecar_protocol.base import Event, Params, Result
from sidecar_protocol.limits import DEFAULT_CREDIT
from sidecar_protocol.methods import METHODS

Parameters = Mapping[str, object] | Params
ResultType = TypeVar("ResultType", bound=Result)


class Caller(Protocol):
    """Whoever can send requests."""

    async def call(
        self, method: str, params: Parameters | None = None, *, deadline_seconds: float | None = None
    ) -> object:
        """The result as plain objects. Raises EngineError."""

    def submit(
        self, method: str, params: Parameters | None, *, credit: int | None, deadline_seconds: float | None
    ) -> Request:
        """Send a request; its end comes later. Raises EngineError for params that cannot be sent."""


async def typed_call(
    caller: Caller,
    method: str,
    result: type[ResultType],
    params: Parameters | None = None,
    deadline_seconds: float | None = None,
) -> ResultType:
    """Call a method and read its result as `result`."""
    return result_reader(method, result)(await caller.call(method, params, deadline_seconds=deadline_seconds))


def typed_stream(
    caller: Caller,
    method: str,
    result: type[ResultType],
    params: Mapping[str, object],
    credit: int = DEFAULT_CREDIT,
    deadline_seconds: float | None = None,
) -> Stream[Any, ResultType]:
    """Open a stream; its event types are those of the method."""
    request = caller.submit(
        method, {**params, "stream": True}, credit=credit, deadline_seconds=deadline_seconds
    )
    return Stream(request, event_reader(method), result_reader(method, result))


def result_reader(method: str, result: type[ResultType]) -> Callable[[object], ResultType]:
    """Reads plain objects as `result`; raises InvalidMessage for another shape."""

    def read_result(plain: object) -> ResultType:
        try:
            return read(plain, result)
        except msgspec.ValidationError as error:
            raise InvalidMessage(f"the engine's result of {method} has another shape: {error}") from error

    return read_result


def event_reader(method: str) -> Callable[[object], Any]:
    """Reads plain objects as the method's event types; None for what a newer engine has added.

    That is a type of event, or an event that is about something of an unknown type.
    """
    kinds = {kind.__struct_config__.tag: kind for kind in METHODS[method].events}

    def read_event(plain: object) -> Event | None:
        name = plain.get("type") if isinstance(plain, dict) else None
        kind = kinds.get(name) if isinstance(name, str) else None
        if kind is None:
            return None
        try:
            return read(plain, kind)
        except UnknownVariant:
            return None
        except msgspec.ValidationError as error:
            raise InvalidMessage(f"an event of {method} has another shape: {error}") from error

    return read_event
