"""One request from its sending to its end. Knows no socket and no types of the protocol."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final

from sidecar_client.errors import Cancelled, EngineError, InvalidMessage

_PENDING: Final = object()


class Request:
    """Holds a request's events until they are read, its credit, and its one result or error.

    `credit` is the number of events the engine may be ahead of the reader; None:
    the request does not stream.
    """

    def __init__(
        self, method: str, body: bytes, *, credit: int | None, ttl: int | None, idem: str | None = None
    ) -> None:
        self.method = method
        self.body = body
        self.credit = credit
        self.ttl = ttl
        self.idem = idem
        self.id: int | None = None
        """Given when it is sent."""
        self.cancelled = False
        self._send_cancel: Callable[[], None] | None = None
        self._send_credit: Callable[[int], None] | None = None
        self._received = 0
        self._consumed = 0
        self._events: deque[object] = deque()
        self._has_reader = False
        self._result_wanted = False
        self._result: object = _PENDING
        self._error: EngineError | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def ended(self) -> bool:
        """Whether the result or an error is there."""
        return self._result is not _PENDING or self._error is not None

    @property
    def buffered(self) -> int:
        """Events that have come and were not read."""
        return len(self._events)

    # --- the connection's side

    def sent(self, request_id: int, cancel: Callable[[], None], credit: Callable[[int], None]) -> None:
        """It went out under this id; the callbacks send what is later said about it."""
        self.id = request_id
        self._send_cancel = cancel
        self._send_credit = credit

    def take_event(self, sequence: int, event: object) -> None:
        """An event came. Raises InvalidMessage when one before it is missing."""
        if self.cancelled or self.ended:
            return
        if sequence != self._received:
            raise InvalidMessage(
                f"{self.method}: event {self._received} is missing from the stream, {sequence} came instead"
            )
        self._received += 1
        if self._has_reader or not self._result_wanted:
            self._events.append(event)
        if self._result_wanted:
            self._consume(1)
        self._wake()

    def take_result(self, result: object, events_sent: int | None) -> None:
        """The result came. Raises InvalidMessage when events before it are missing."""
        self._check_count(events_sent)
        if not self.ended:
            self._result = result
            self._wake()

    def take_error(self, error: EngineError, events_sent: int | None) -> None:
        """The error that ends it came. Raises InvalidMessage when events before it are missing."""
        self._check_count(events_sent)
        self.fail(error)

    def fail(self, error: EngineError) -> None:
        """It ends with this error, unless it has ended."""
        if not self.ended:
            self._error = error
            self._wake()

    # --- the caller's side

    def open_reader(self) -> None:
        """From now on events are kept for `next_event`."""
        self._has_reader = True

    async def next_event(self) -> object:
        """The next event. Raises StopAsyncIteration after the last, or the error that ended the request."""
        while not self._events:
            if self._error is not None:
                raise self._error
            if self.ended:
                raise StopAsyncIteration
            await self._change()
        event = self._events.popleft()
        if not self._result_wanted:
            self._consume(1)
        return event

    async def result(self) -> object:
        """The result, or raises the error that ended the request.

        Without a reader the events are thrown away; with one they are kept for
        it without bound, because the caller no longer waits for them.
        """
        if not self._result_wanted:
            self._result_wanted = True
            self._consume(len(self._events))
            if not self._has_reader:
                self._events.clear()
        while not self.ended:
            await self._change()
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> None:
        """Tell the engine to stop; what still comes of this request is thrown away."""
        if self.cancelled or self.ended:
            return
        self.cancelled = True
        self._events.clear()
        if self._send_cancel is not None:
            self._send_cancel()
        else:
            self.fail(Cancelled(f"{self.method} was cancelled before it was sent"))

    def abandon(self) -> None:
        """Nobody holds it any more: cancel it, from whichever thread the garbage collector runs in."""
        if not self.cancelled and not self.ended:
            # A closed loop has no request left that could be told.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.cancel)

    def _check_count(self, events_sent: int | None) -> None:
        if events_sent is not None and events_sent != self._received and not self.cancelled:
            raise InvalidMessage(
                f"{self.method}: {events_sent} events were sent, {self._received} have arrived"
            )

    def _consume(self, events: int) -> None:
        if self.credit is None or self.ended or self.cancelled:
            return
        self._consumed += events
        # In halves, so that the engine seldom stands at zero and a message is not sent for each event.
        if self._consumed * 2 >= self.credit and self._send_credit is not None:
            self._send_credit(self._consumed)
            self._consumed = 0

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _change(self) -> None:
        waiter = self._loop.create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
