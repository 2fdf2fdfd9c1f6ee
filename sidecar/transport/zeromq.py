"""Carries messages over a ZeroMQ ROUTER with CURVE, on the asyncio thread, which alone owns the sockets."""

import asyncio
import enum
import ipaddress
import logging
from collections import deque
from pathlib import Path
from typing import Final

import zmq

from sidecar.errors import Conflict, InvalidParams
from sidecar.transport.curve import ZAP_DOMAIN, CurveKeys, ZapHandler, decode_key
from sidecar.transport.hub import Hub
from sidecar.transport.peer import Peer
from sidecar.transport.wire import EMPTY_BODY
from sidecar_protocol.codec import encode_header
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.limits import LIMITS

logger = logging.getLogger(__name__)

LOOPBACK_ENDPOINT: Final = "tcp://127.0.0.1:*"
OUTBOX_BYTES: Final = 64 * 2**20
# A plain number: the enumeration's own `&` runs for longer than the question itself.
_READABLE: Final = int(zmq.POLLIN)
_TCP: Final = "tcp://"
_IPC: Final = "ipc://"
_SEND_HWM: Final = 1024
_LINGER_MS: Final = 500
_HANDSHAKE_MS: Final = 10_000
_MESSAGES_PER_TURN: Final = 64
_RETRY_SECONDS: Final = 0.02
_PART_SECONDS: Final = 0.01
_PART_STEPS: Final = 25
_PARTING_LINKS: Final = 16
_PING: Final = encode_header(Header(k=Kind.PING, n=0))


class ZeroMQServer:
    """Binds the endpoint at once; `start` begins to serve it to the hub on the running event loop.

    Raises InvalidParams for a client key or endpoint that cannot be right, Conflict
    when the endpoint is taken.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        client_key: str,
        keys: CurveKeys | None = None,
        endpoint: str = LOOPBACK_ENDPOINT,
        outbox_bytes: int = OUTBOX_BYTES,
    ) -> None:
        keys = keys or CurveKeys.generate()
        self.server_key = keys.public
        """Public key for the ready line, z85."""
        self._hub = hub
        self._outbox_bytes = outbox_bytes
        self._links: dict[bytes, ZeroMQLink] = {}
        self._blocked: set[ZeroMQLink] = set()
        self._parting: deque[ZeroMQLink] = deque(maxlen=_PARTING_LINKS)
        self._pump_scheduled = False
        self._retry: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        admitted = frozenset([decode_key(client_key)])
        check_endpoint(endpoint)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._zap = ZapHandler(self._context, admitted)
        self._socket = self._context.socket(zmq.ROUTER)
        self._set_options(keys)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._close_sockets()
            raise Conflict(f"cannot listen on {endpoint}: {error.strerror}") from error
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        """Where hosts connect; a port that was left open is filled in."""
        if endpoint.startswith(_IPC):
            Path(endpoint.removeprefix(_IPC)).chmod(0o600)

    def start(self) -> None:
        """Serve on the running event loop, which must offer add_reader (on Windows: the selector loop)."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._pump)
        self._loop.add_reader(self._zap.socket, self._zap.answer_all)
        self._hub.start()
        # The descriptor tells of changes alone: what came before it was watched must be asked for.
        self._zap.answer_all()
        self._schedule_pump()

    async def close(self) -> None:
        """Stop serving, once hosts that were told bye have hung up, or a quarter of a second has passed."""
        await self._wait_for_hosts_to_part()
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_reader(self._zap.socket)
        if self._retry is not None:
            self._retry.cancel()
        for link in list(self._links.values()):
            link.peer.lost()
        self._close_sockets()

    # --- for the links

    def send_now(self, link: "ZeroMQLink", header: bytes, body: bytes) -> "Sent":
        """Give one message to the socket, if it takes it."""
        try:
            self._socket.send_multipart([link.identity, header, body], zmq.DONTWAIT)
        except zmq.Again:
            self._blocked.add(link)
            self._schedule_retry()
            return Sent.FULL
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return Sent.GONE
        finally:
            # Sending may take the descriptor's signal for a message that came meanwhile.
            if self._has_message():
                self._schedule_pump()
        return Sent.YES

    def forget(self, link: "ZeroMQLink") -> None:
        """Receive nothing more from this link."""
        if self._links.get(link.identity) is link:
            del self._links[link.identity]
            self._parting.append(link)

    # --- the socket

    async def _wait_for_hosts_to_part(self) -> None:
        # A host drops what it has not read when its connection breaks, so the last words need this pause.
        parting = [link for link in self._parting if link.identity not in self._links]
        for _ in range(_PART_STEPS):
            parting = [link for link in parting if self.send_now(link, _PING, EMPTY_BODY) is not Sent.GONE]
            if not parting:
                return
            await asyncio.sleep(_PART_SECONDS)

    def _set_options(self, keys: CurveKeys) -> None:
        socket = self._socket
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode("ascii"))
        socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
        socket.setsockopt(zmq.SNDHWM, _SEND_HWM)
        socket.setsockopt(zmq.MAXMSGSIZE, LIMITS.frame_bytes)
        socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
        socket.setsockopt(zmq.LINGER, _LINGER_MS)

    def _close_sockets(self) -> None:
        self._socket.close()
        self._zap.close()
        self._context.term()

    def _schedule_pump(self) -> None:
        if not self._pump_scheduled and self._loop is not None:
            self._pump_scheduled = True
            self._loop.call_soon(self._pump)

    def _schedule_retry(self) -> None:
        # A ROUTER does not tell when a peer's full pipe has room again.
        if self._retry is None and self._loop is not None:
            self._retry = self._loop.call_later(_RETRY_SECONDS, self._retry_blocked)

    def _pump(self) -> None:
        self._pump_scheduled = False
        for _ in range(_MESSAGES_PER_TURN):
            if self._socket.closed or not self._has_message():
                return
            # Asked for before it is needed: should this message fail, the descriptor would not tell again.
            self._schedule_pump()
            self._receive(self._socket.recv_multipart(zmq.DONTWAIT, copy=False))

    def _has_message(self) -> bool:
        return bool(int(self._socket.getsockopt(zmq.EVENTS)) & _READABLE)

    def _receive(self, frames: list[zmq.Frame]) -> None:
        identity = frames[0].bytes
        serial = frames[0].get("User-Id") if len(frames) == 1 else frames[1].get("User-Id")
        link = self._links.get(identity)
        if link is not None and link.serial != serial:
            link.peer.lost()
            link = None
        if link is None:
            link = ZeroMQLink(self, identity, serial, self._hub, self._outbox_bytes)
            self._links[identity] = link
        link.peer.receive([frame.bytes for frame in frames[1:]])

    def _retry_blocked(self) -> None:
        self._retry = None
        blocked, self._blocked = self._blocked, set()
        for link in blocked:
            if link.flush() is Sent.GONE:
                link.peer.lost()


class Sent(enum.Enum):
    """What became of a message given to the socket."""

    YES = enum.auto()
    FULL = enum.auto()
    GONE = enum.auto()


class ZeroMQLink:
    """The way to one peer, with an outbox for what its pipe does not take at the moment."""

    def __init__(
        self, server: ZeroMQServer, identity: bytes, serial: object, hub: Hub, outbox_bytes: int
    ) -> None:
        self.identity = identity
        self.serial = serial
        self.peer: Peer = hub.connect(self)
        self._server = server
        self._limit = outbox_bytes
        self._outbox: deque[tuple[bytes, bytes]] = deque()
        self._outbox_bytes = 0

    def send(self, header: bytes, body: bytes) -> bool:
        """Hand over one message; never waits. False when the peer is gone or has left too much unread."""
        if not self._outbox:
            sent = self._server.send_now(self, header, body)
            if sent is not Sent.FULL:
                return sent is Sent.YES
        self._outbox.append((header, body))
        self._outbox_bytes += len(header) + len(body)
        if self._outbox_bytes <= self._limit:
            return True
        logger.warning("a host has left %d bytes unread; its connection ends", self._outbox_bytes)
        self._outbox.clear()
        return False

    def flush(self) -> Sent:
        """Send what waits, as far as the pipe takes it."""
        while self._outbox:
            header, body = self._outbox[0]
            sent = self._server.send_now(self, header, body)
            if sent is not Sent.YES:
                return sent
            self._outbox.popleft()
            self._outbox_bytes -= len(header) + len(body)
        return Sent.YES

    def close(self) -> None:
        """Forget the peer; what was handed over still goes out, nothing more is received from it."""
        self._server.forget(self)


def check_endpoint(endpoint: str) -> None:
    """Raises InvalidParams unless it is tcp:// on a loopback address, or ipc:// with an absolute path."""
    if endpoint.startswith(_IPC):
        if zmq.has("ipc") and Path(endpoint.removeprefix(_IPC)).is_absolute():
            return
    elif endpoint.startswith(_TCP):
        host, _, port = endpoint.removeprefix(_TCP).rpartition(":")
        if _is_loopback(host) and (port == "*" or port.isdecimal()):
            return
    raise InvalidParams(
        f"cannot listen on {endpoint[:200]!r}: it must be tcp://127.0.0.1:PORT (PORT may be *)"
        + (", or ipc:// and an absolute path" if zmq.has("ipc") else ""),
        parameter="endpoint",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False
