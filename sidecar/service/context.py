"""One running request, as a handler sees it."""

from collections.abc import Callable
from typing import Protocol

from sidecar.errors import SidecarError
from sidecar.ports import HostConnection
from sidecar_protocol.base import Event, Result


class EventStream(Protocol):
    """Where a request's events go; the connection's peer implements it."""

    def open(self) -> None:
        """Claim one of the connection's streams. Raises Busy when all are open."""

    def emit(self, event: Event) -> None:
        """Send or hold an event; never waits. Past the limit of held bytes the peer ends the request."""


class RequestContext:
    """Who asks, where events go, and why the request was ended from outside.

    A handler sets `partial` to a function giving what there is so far; it goes
    into the `cancelled` or `deadline_exceeded` error, and so do `unfinished_tools`,
    the calls whose tools went on regardless. Whoever ends the request from outside
    calls `end` and then cancels the task that runs the dispatcher.
    """

    def __init__(self, connection: HostConnection, request_id: int, stream: EventStream) -> None:
        self.connection = connection
        self.request_id = request_id
        self.partial: Callable[[], Result] | None = None
        self.unfinished_tools: list[dict[str, str]] = []
        self.end_reason: SidecarError | None = None
        self._stream = stream
        self._streaming = False

    def open_stream(self) -> None:
        """From now on `emit` sends. Raises Busy when the connection has no stream left."""
        self._stream.open()
        self._streaming = True

    def emit(self, event: Event) -> None:
        """Send an event when the caller asked for a stream; otherwise nothing."""
        if self._streaming:
            self._stream.emit(event)

    def end(self, reason: SidecarError) -> None:
        """Note why the request is about to be cancelled; the first reason stays."""
        if self.end_reason is None:
            self.end_reason = reason
