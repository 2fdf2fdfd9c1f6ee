"""Frames in and out over one encrypted socket. Knows nothing of what they mean.

A thread of its own owns the socket: that works with any asyncio loop on any
system, and the loop may be blocked without the connection noticing.
"""

import asyncio
import contextlib
import functools
import operator
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq

from sidecar_client.liveness import Liveness
from sidecar_protocol.limits import LIMITS

Frames = list[bytes]

_LINGER_MILLISECONDS = 200
_NEVER_MILLISECONDS = 2**31 - 1
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


class Channel:
    """One connection's socket. `deliver` and `ended` run on the loop; `ended` once, after all messages."""

    def __init__(
        self,
        door: Door,
        liveness: Liveness,
        deliver: Callable[[list[Frames]], None],
        ended: Callable[[str], None],
    ) -> None:
        self._door = door
        self._liveness = liveness
        self._deliver = deliver
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._outbox: deque[Frames] = deque()
        self._closing = False
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._finished = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="sidecar-channel", daemon=True)
        self._thread.start()

    def send(self, frames: Frames) -> None:
        """Queue a message; never waits. After the end it goes nowhere."""
        self._outbox.append(frames)
        self._wake()

    async def close(self) -> None:
        """Send what is queued, as far as the peer takes it at once, and give everything back."""
        self._closing = True
        self._wake()
        await self._finished.wait()

    def _wake(self) -> None:
        # A full or closed pipe means that the thread is awake already, or gone.
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"\0")

    def _run(self) -> None:
        reason = "its thread has failed"
        context = zmq.Context()
        dealer = context.socket(zmq.DEALER)
        monitor = dealer.get_monitor_socket(functools.reduce(operator.or_, _ENDINGS))
        try:
            reason = self._pump(dealer, monitor)
        except zmq.ZMQError as error:
            reason = f"{self._door.endpoint!r} cannot be connected to: {error.strerror}"
        finally:
            dealer.disable_monitor()
            monitor.close(0)
            dealer.close(_LINGER_MILLISECONDS)
            context.term()
            self._wake_reader.close()
            self._wake_writer.close()
            self._on_loop(self._finish, reason)

    def _configure(self, dealer: "zmq.Socket[bytes]") -> None:
        liveness = self._liveness
        # Never again, but not by -1: libzmq then throws away what came just before the end and was not read.
        dealer.setsockopt(zmq.RECONNECT_IVL, _NEVER_MILLISECONDS)
        dealer.setsockopt(zmq.MAXMSGSIZE, LIMITS.frame_bytes)
        dealer.setsockopt(zmq.HEARTBEAT_IVL, int(liveness.heartbeat_seconds * 1000))
        dealer.setsockopt(zmq.HEARTBEAT_TIMEOUT, int(liveness.heartbeat_timeout_seconds * 1000))
        dealer.setsockopt(zmq.HEARTBEAT_TTL, 0)
        dealer.curve_serverkey = self._door.server_key.encode()
        dealer.curve_publickey = self._door.client_key.encode()
        dealer.curve_secretkey = self._door.client_secret.encode()

    def _pump(self, dealer: "zmq.Socket[bytes]", monitor: "zmq.Socket[bytes]") -> str:
        """Move messages until the connection ends; returns why it did."""
        self._configure(dealer)
        dealer.connect(self._door.endpoint)
        poller = zmq.Poller()
        poller.register(self._wake_reader, zmq.POLLIN)
        poller.register(monitor, zmq.POLLIN)
        poller.register(dealer, zmq.POLLIN)
        while True:
            poller.register(dealer, zmq.POLLIN | zmq.POLLOUT if self._outbox else zmq.POLLIN)
            ready = dict(poller.poll())
            if self._wake_reader.fileno() in ready:
                self._drain_wakes()
            if self._closing:
                self._flush(dealer)
                return "it was closed by this program"
            self._flush(dealer)
            self._receive(dealer)
            if monitor in ready:
                reason = _ENDINGS[_monitored_event(monitor.recv_multipart())]
                self._receive(dealer)
                return reason

    def _drain_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while len(self._wake_reader.recv(4096)) == 4096:
                pass

    def _flush(self, dealer: "zmq.Socket[bytes]") -> None:
        with contextlib.suppress(zmq.Again):
            while self._outbox:
                dealer.send_multipart(self._outbox[0], zmq.DONTWAIT)
                self._outbox.popleft()

    def _receive(self, dealer: "zmq.Socket[bytes]") -> None:
        batch: list[Frames] = []
        with contextlib.suppress(zmq.Again):
            while True:
                batch.append(dealer.recv_multipart(zmq.DONTWAIT))
        if batch:
            self._on_loop(self._deliver, batch)

    def _finish(self, reason: str) -> None:
        self._finished.set()
        self._ended(reason)

    def _on_loop(self, function: Callable[..., None], *arguments: object) -> None:
        # The loop may be closed by a program that ends without closing the engine.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)


def _monitored_event(frames: Frames) -> int:
    # zmq_socket_monitor(3): the first frame begins with the event as a 16-bit number in the host's order.
    return int.from_bytes(frames[0][:2], sys.byteorder)
