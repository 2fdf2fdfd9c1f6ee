"""The events of one request: sent while the host gives credit, held and coalesced while it does not."""

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.errors import MessageTooLarge, SidecarError, SlowConsumer
from sidecar.transport.wire import Wire
from sidecar_protocol.base import Coalesce, Event
from sidecar_protocol.codec import encode_body
from sidecar_protocol.errors import ProtocolError
from sidecar_protocol.limits import Limits


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    event: Event
    encoded: bytes


class EventStream:
    """Numbers a request's events without a gap and keeps those for which there is no credit.

    `claim` is asked for a stream (raises Busy), `give_up` is told why the request
    must end when its reader has fallen too far behind.
    """

    def __init__(
        self,
        request_id: int,
        credit: int,
        wire: Wire,
        limits: Limits,
        claim: Callable[[], None],
        give_up: Callable[[SidecarError], None],
    ) -> None:
        self.is_open = False
        self._request_id = request_id
        self._credit = min(credit, limits.credit)
        self._wire = wire
        self._limits = limits
        self._claim = claim
        self._give_up = give_up
        self._sequence = 0
        self._held: list[_Held] = []
        self._held_bytes = 0
        self._ended = False

    def open(self) -> None:
        """Claim one of the connection's streams. Raises Busy when all are open."""
        self._claim()
        self.is_open = True

    def emit(self, event: Event) -> None:
        """Send or hold an event; nothing once the request is over."""
        if self._ended:
            return
        encoded = self._encode(event)
        if encoded is None:
            return
        if self._credit > 0 and not self._held:
            self._credit -= 1
            self._send(encoded)
        else:
            self._hold(_Held(event, encoded))

    def add_credit(self, events: int) -> None:
        """Send what is held as far as the new credit goes."""
        self._credit = min(self._credit + events, self._limits.credit)
        sendable = min(self._credit, len(self._held))
        for held in self._held[:sendable]:
            self._held_bytes -= len(held.encoded)
            self._send(held.encoded)
        self._credit -= sendable
        del self._held[:sendable]

    def finish(self) -> int:
        """Send everything held, whatever the credit; returns how many events were sent in all."""
        self._ended = True
        for held in self._held:
            self._send(held.encoded)
        self._held.clear()
        return self._sequence

    def _send(self, encoded: bytes) -> None:
        self._wire.add_event(self._request_id, self._sequence, encoded)
        self._sequence += 1

    def _encode(self, event: Event) -> bytes | None:
        """The event's bytes, or None when it is too large and the request ends for it."""
        try:
            return encode_body(event, self._wire.event_limits)
        except ProtocolError as error:
            if error.code != "too_large":
                raise
            self._end(MessageTooLarge(f"an event cannot be sent: {error.message}", data=error.data))
            return None

    def _hold(self, new: _Held) -> None:
        last = self._held[-1] if self._held else None
        replaced: _Held | None = None
        match new.event.coalesce:
            case Coalesce.CONCAT if last is not None and type(last.event) is type(new.event):
                joined = last.event.joined_with(new.event)
                if joined is not None:
                    encoded = self._encode(joined)
                    if encoded is None:
                        return
                    replaced, new = last, _Held(joined, encoded)
            case Coalesce.KEEP_LAST:
                # Taken out of its place and put last: a later event must not overtake those before it.
                same = (held for held in reversed(self._held) if type(held.event) is type(new.event))
                replaced = next(same, None)
        held_bytes = self._held_bytes + len(new.encoded) - (len(replaced.encoded) if replaced else 0)
        if held_bytes > self._limits.held_bytes:
            self._end(
                SlowConsumer(
                    f"the reader is {self._limits.held_bytes} bytes of events behind; "
                    "give credit as events are read, or ask without stream"
                )
            )
            return
        if replaced is not None:
            self._held.remove(replaced)
        self._held.append(new)
        self._held_bytes = held_bytes

    def _end(self, reason: SidecarError) -> None:
        self._ended = True
        self._give_up(reason)
