"""Frames in and out over one encrypted socket. Knows nothing of what they mean.

The loop owns the socket. libzmq's own thread answers heartbeats and takes
messages in, so the loop may be blocked without the connection noticing.
"""

import asyncio
import contextlib
import functools
import operator
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import zmq

from sidecar_client.liveness import Liveness
from sidecar_client.readiness import watch_readable
from sidecar_protocol.limits import LIMITS

Frames = list[bytes]

# Plain numbers: the enumeration's own `&` runs for longer than the question itself.
_READABLE, _WRITABLE = int(zmq.POLLIN), int(zmq.POLLOUT)
_LINGER_MILLISECONDS = 200
_NEVER_MILLISECONDS = 2**31 - 1
_MESSAGES_PER_TURN = 64
_ENDINGS: dict[int, str] = {
    zmq.EVENT_DISCONNECTED: "the connection was cut",
    zmq.EVENT_CLOSED: "nothing listens there",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "the engine refused this program's key",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "the peer does not speak the encrypted protocol",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the encrypted handshake failed",
}


@dataclass(frozen=True, slots=True)
class Door:
    """Where an engine listens and the CURVE keys (z85) to get in."""

    endpoint: str
    server_key: str
    client_key: str
    client_secret: str = field(repr=False)


class MessageChannel(Protocol):
    """Carries messages to the engine, and those of the engine to whoever opened it."""

    def send(self, frames: Frames) -> None:
        """Send a message, or queue it. After the end it goes nowhere."""

    async def close(self) -> None:
        """Send what is queued, as far as that goes, and give everything back."""


OpenChannel = Callable[
    [Door, Liveness, Callable[[list[Frames]], None], Callable[[str], None]], MessageChannel
]
"""Takes what `Channel` takes."""


class Channel:
    """One connection's socket, made, used and closed on the running loop.

    `deliver` gets messages as they come; `ended` is called once, after all of them.
    """

    def __init__(
        self,
        door: Door,
        liveness: Liveness,
        deliver: Callable[[list[Frames]], None],
        ended: Callable[[str], None],
    ) -> None:
        self._deliver = deliver
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._outbox: deque[Frames] = deque()
        self._pump_scheduled = False
        self._released: asyncio.Future[None] | None = None
        self._stop_watching: list[Callable[[], None]] = []
        self._context = zmq.Context()
        self._dealer = self._context.socket(zmq.DEALER)
        self._monitor = self._dealer.get_monitor_socket(functools.reduce(operator.or_, _ENDINGS))
        try:
            _configure(self._dealer, door, liveness)
            self._dealer.connect(door.endpoint)
        except zmq.ZMQError as error:
            reason = f"{door.endpoint!r} cannot be connected to: {error.strerror}"
            self._loop.call_soon(self._finish, reason)
            return
        self._watch(self._monitor, self._connection_changed)
        self._watch(self._dealer, self._pump)

    def send(self, frames: Frames) -> None:
        """Send a message, or queue it while the engine takes none. After the end it goes nowhere."""
        if self._released is not None:
            return
        self._outbox.append(frames)
        self._flush()
        self._look_again()

    async def close(self) -> None:
        """Send what is queued, as far as the peer takes it at once, and give everything back."""
        if self._released is None:
            self._flush()
            self._finish("it was closed by this program")
        if self._released is not None:
            await asyncio.shield(self._released)

    def _watch(self, watched: "zmq.Socket[bytes]", callback: Callable[[], None]) -> None:
        self._stop_watching.append(watch_readable(self._loop, int(watched.getsockopt(zmq.FD)), callback))
        # The descriptor tells of changes alone: what came before it was watched must be asked for.
        self._loop.call_soon(callback)

    def _look_again(self) -> None:
        """Run the pump when there is something to do: using the socket may take its descriptor's signal."""
        events = int(self._dealer.getsockopt(zmq.EVENTS))
        has_work = events & _READABLE or (self._outbox and events & _WRITABLE)
        if has_work and not self._pump_scheduled:
            self._pump_scheduled = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Send what waits and deliver what has come, a bounded number of messages a turn."""
        self._pump_scheduled = False
        if self._released is not None:
            return
        self._flush()
        batch: list[Frames] = []
        while len(batch) < _MESSAGES_PER_TURN and _is_readable(self._dealer):
            batch.append(self._dealer.recv_multipart(zmq.DONTWAIT))
        self._look_again()
        if batch:
            self._deliver(batch)

    def _flush(self) -> None:
        with contextlib.suppress(zmq.Again):
            while self._outbox:
                self._dealer.send_multipart(self._outbox[0], zmq.DONTWAIT)
                self._outbox.popleft()

    def _connection_changed(self) -> None:
        if self._released is not None or not _is_readable(self._monitor):
            return
        reason = _ENDINGS[_monitored_event(self._monitor.recv_multipart())]
        while _is_readable(self._dealer):
            self._pump()
        self._finish(reason)

    def _finish(self, reason: str) -> None:
        if self._released is not None:
            return
        for stop in self._stop_watching:
            stop()
        # Waits for what was sent to leave, so it is not for the loop's thread.
        self._released = self._loop.run_in_executor(None, self._release)
        self._ended(reason)

    def _release(self) -> None:
        self._dealer.disable_monitor()
        self._monitor.close(0)
        self._dealer.close(_LINGER_MILLISECONDS)
        self._context.term()


def _configure(dealer: "zmq.Socket[bytes]", door: Door, liveness: Liveness) -> None:
    # Never again, but not by -1: libzmq then throws away what came just before the end and was not read.
    dealer.setsockopt(zmq.RECONNECT_IVL, _NEVER_MILLISECONDS)
    dealer.setsockopt(zmq.LINGER, _LINGER_MILLISECONDS)
    dealer.setsockopt(zmq.MAXMSGSIZE, LIMITS.frame_bytes)
    dealer.setsockopt(zmq.HEARTBEAT_IVL, int(liveness.heartbeat_seconds * 1000))
    dealer.setsockopt(zmq.HEARTBEAT_TIMEOUT, int(liveness.heartbeat_timeout_seconds * 1000))
    dealer.setsockopt(zmq.HEARTBEAT_TTL, 0)
    dealer.curve_serverkey = door.server_key.encode()
    dealer.curve_publickey = door.client_key.encode()
    dealer.curve_secretkey = door.client_secret.encode()


def _is_readable(asked: "zmq.Socket[bytes]") -> bool:
    return bool(int(asked.getsockopt(zmq.EVENTS)) & _READABLE)


def _monitored_event(frames: Frames) -> int:
    # zmq_socket_monitor(3): the first frame begins with the event as a 16-bit number in the host's order.
    return int.from_bytes(frames[0][:2], sys.byteorder)
