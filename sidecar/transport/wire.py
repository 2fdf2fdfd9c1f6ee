"""The outgoing half of a connection: messages of every kind, and the events of one turn in one message."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from sidecar.transport.base import Link
from sidecar_protocol.codec import encode_body, encode_header
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ProtocolErrorNotice
from sidecar_protocol.limits import Limits

EMPTY_BODY: Final = b"\x80"
_EVENTS_HEADER: Final = encode_header(Header(k=Kind.EVENTS))
_ENTRY_BYTES: Final = 20
"""An entry around its event: array, id and sequence in their longest forms."""
_ENTRY_ELEMENTS: Final = 4
_ENTRY_DEPTH: Final = 2
_ARRAY_BYTES: Final = 5

ShowOutgoing = Callable[[Header, bytes], None]


class Wire:
    """Sends to one peer; once the peer is gone, `lost` is called and everything else is dropped."""

    def __init__(self, link: Link, limits: Limits, lost: Callable[[], None], show: ShowOutgoing) -> None:
        self._link = link
        self._lost = lost
        self._show = show
        self.event_limits = msgspec.structs.replace(
            limits,
            message_bytes=limits.message_bytes - _ENTRY_BYTES - _ARRAY_BYTES,
            elements=limits.elements - _ENTRY_ELEMENTS,
            depth=limits.depth - _ENTRY_DEPTH,
        )
        """What one event may measure, so that a message around it keeps the connection's limits."""
        # A body of so many bytes cannot hold more elements than a receiver accepts.
        self._events_bytes = min(limits.elements, limits.message_bytes) - _ARRAY_BYTES
        self._encoder = msgspec.msgpack.Encoder()
        self._events: list[tuple[int, int, msgspec.Raw]] = []
        self._flushing: asyncio.Handle | None = None
        self._open = True

    def send(self, header: Header, body: bytes = EMPTY_BODY) -> None:
        """Send one message, after the events gathered so far."""
        self.flush()
        self._send(header, encode_header(header), body)

    def notify(self, method: str, params: object) -> None:
        """Send a notification."""
        self.send(Header(k=Kind.NOTIFICATION, m=method), encode_body(params))

    def protocol_error(
        self, code: str, message: str, *, request_id: int | None = None, limit: int | None = None
    ) -> None:
        """Say that a message was ignored and why."""
        notice = ProtocolErrorNotice(code=code, message=message, id=request_id, limit=limit)
        self.notify("protocol.error", notice)

    def add_event(self, request_id: int, sequence: int, event: bytes) -> None:
        """Send an event with all others of this turn of the event loop."""
        if not self._open:
            return
        self._events.append((request_id, sequence, msgspec.Raw(event)))
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Send the events gathered so far."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if not self._events:
            return
        events, self._events = self._events, []
        header = Header(k=Kind.EVENTS)
        start = size = 0
        for index, (_, _, event) in enumerate(events):
            size += len(event) + _ENTRY_BYTES
            if size > self._events_bytes and index > start:
                self._send(header, _EVENTS_HEADER, self._encoder.encode(events[start:index]))
                start, size = index, len(event) + _ENTRY_BYTES
        self._send(header, _EVENTS_HEADER, self._encoder.encode(events[start:]))

    def close(self) -> None:
        """Send nothing more."""
        self._open = False
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        self._events.clear()
        self._link.close()

    def _send(self, header: Header, encoded: bytes, body: bytes) -> None:
        if not self._open:
            return
        self._show(header, body)
        if not self._link.send(encoded, body):
            self._lost()
