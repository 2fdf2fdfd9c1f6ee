"""The events of one request: sent while the host gives credit, held and coalesced while it does not."""

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.errors import MessageTooLarge, SidecarError, SlowConsumer
from sidecar.transport.wire import Wire
from sidecar_protocol.base import Coalesce, Event
from sidecar_protocol.codec import encode_body
from sidecar_protocol.errors import ProtocolError
from sidecar_protocol.limits import Limits


@dataclass(slots=True, eq=False)
class _Held:
    event: Event
    size: int
    """Encoded bytes; an estimate once something was joined to it."""
    overhead: int | None = None
    """Bytes that an event loses by being joined to this one, measured at the first."""


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
        if self._credit > 0:
            self._credit -= 1
            self._send(encoded)
        else:
            self._hold(event, len(encoded))

    def add_credit(self, events: int) -> None:
        """Send what is held as far as the new credit goes."""
        self._credit = min(self._credit + events, self._limits.credit)
        sendable = min(self._credit, len(self._held))
        self._credit -= sendable
        self._send_held(sendable)

    def finish(self) -> int:
        """Send everything held, whatever the credit; returns how many events were sent in all."""
        self._ended = True
        self._send_held(len(self._held))
        return self._sequence

    def _send(self, encoded: bytes) -> None:
        self._wire.add_event(self._request_id, self._sequence, encoded)
        self._sequence += 1

    def _send_held(self, count: int) -> None:
        sent, self._held = self._held[:count], self._held[count:]
        for held in sent:
            self._held_bytes -= held.size
            self._send(encode_body(held.event, self._wire.event_limits))

    def _encode(self, event: Event) -> bytes | None:
        """The event's bytes, or None when it is too large and the request ends for it."""
        try:
            return encode_body(event, self._wire.event_limits)
        except ProtocolError as error:
            if error.code != "too_large":
                raise
            self._end(MessageTooLarge(f"an event cannot be sent: {error.message}", data=error.data))
            return None

    def _hold(self, event: Event, size: int) -> None:
        match event.coalesce:
            case Coalesce.CONCAT:
                if self._join(event, size):
                    return
            case Coalesce.KEEP_LAST:
                self._drop_last(type(event))
        if self._fits(size):
            self._held.append(_Held(event, size))
            self._held_bytes += size

    def _join(self, event: Event, size: int) -> bool:
        """Append to the last held event. False when the two do not join."""
        last = self._held[-1] if self._held else None
        joined = last.event.joined_with(event) if last and type(last.event) is type(event) else None
        if last is None or joined is None:
            return False
        # Measuring encodes the whole text again, so it is done once and then estimated, until it matters.
        added = size - last.overhead if last.overhead is not None else None
        if added is None or self._held_bytes + added > self._limits.held_bytes:
            measured = self._encode(joined)
            if measured is None:
                return True
            added = len(measured) - last.size
            last.overhead = size - added
        if self._fits(added):
            last.event = joined
            last.size += added
            self._held_bytes += added
        return True

    def _drop_last(self, kind: type[Event]) -> None:
        """Forget the held event of this type: the one that replaces it goes last, so nothing is overtaken."""
        for index in range(len(self._held) - 1, -1, -1):
            if type(self._held[index].event) is kind:
                self._held_bytes -= self._held.pop(index).size
                return

    def _fits(self, added: int) -> bool:
        """Whether so many more bytes may be held; else the request ends."""
        if self._held_bytes + added <= self._limits.held_bytes:
            return True
        self._end(
            SlowConsumer(
                f"the reader is {self._limits.held_bytes} bytes of events behind; "
                "give credit as events are read, or ask without stream"
            )
        )
        return False

    def _end(self, reason: SidecarError) -> None:
        self._ended = True
        self._give_up(reason)
