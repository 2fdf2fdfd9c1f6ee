"""An engine that a test plays by hand: the protocol's frames over a real socket, and nothing behind them."""

import asyncio
from collections import deque
from typing import Self

import msgspec
import zmq
import zmq.asyncio

from sidecar_client.channel import Door
from sidecar_protocol.codec import decode, decode_header, encode_body, encode_header
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.handshake import Welcome
from sidecar_protocol.limits import LIMITS, Limits
from sidecar_protocol.methods import METHODS
from sidecar_protocol.version import PROTOCOL_VERSION

DEADLINE_SECONDS = 10.0


class FakeEngine:
    """Answers hello and ping by itself, unless told otherwise; everything else waits in `next`."""

    def __init__(
        self, *, limits: Limits = LIMITS, answers_pings: bool = True, answers_hello: bool = True
    ) -> None:
        self.answers_pings = answers_pings
        self.connections = 0
        self.hello: dict[str, object] = {}
        self._limits = limits
        self._answers_hello = answers_hello
        public, secret = zmq.curve_keypair()
        client_public, client_secret = zmq.curve_keypair()
        self._context = zmq.asyncio.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.curve_server = True
        self._router.curve_secretkey = secret
        self._router.linger = 500
        port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self.door = Door(
            f"tcp://127.0.0.1:{port}", public.decode(), client_public.decode(), client_secret.decode()
        )
        """Any key is admitted."""
        self._peer = b""
        self._waiting: deque[tuple[Header, object]] = deque()
        self._arrived = asyncio.Condition()
        self._task = asyncio.ensure_future(self._receive())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self, *, linger: int = 500) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._router.close(linger)
        self._context.term()

    async def send(self, kind: str, body: object = None, **fields: object) -> None:
        header = msgspec.convert({"k": kind, **fields}, Header)
        await self.send_frames(encode_header(header), encode_body({} if body is None else body))

    async def send_frames(self, *frames: bytes) -> None:
        await self._router.send_multipart([self._peer, *frames])

    async def send_events(self, request_id: int, *events: dict[str, object], start: int = 0) -> None:
        body = [[request_id, start + index, event] for index, event in enumerate(events)]
        await self.send(Kind.EVENTS, body)

    async def next(self, *kinds: str, deadline: float = DEADLINE_SECONDS) -> tuple[Header, object]:
        """The next message of one of these kinds; others stay."""
        async with asyncio.timeout(deadline), self._arrived:
            await self._arrived.wait_for(lambda: any(header.k in kinds for header, _ in self._waiting))
        return self.take(*kinds)

    def take(self, *kinds: str) -> tuple[Header, object]:
        """A message of one of these kinds that is already there."""
        found = next(message for message in self._waiting if message[0].k in kinds)
        self._waiting.remove(found)
        return found

    def count(self, kind: str) -> int:
        """Messages of this kind that are there and were not taken."""
        return sum(header.k == kind for header, _ in self._waiting)

    async def round_trip(self) -> None:
        """Wait until the client has handled all that was sent to it before."""
        await self.send(Kind.PING, n=77)
        await self.next(Kind.PONG)

    async def _receive(self) -> None:
        while True:
            peer, *frames = await self._router.recv_multipart()
            header, body = decode_header(frames[0]), decode(frames[1])
            if header.k == Kind.HELLO and isinstance(body, dict):
                self._peer, self.hello = peer, body
                self.connections += 1
                if self._answers_hello:
                    await self.send(Kind.WELCOME, self.welcome())
            elif header.k == Kind.PING and self.answers_pings:
                await self.send(Kind.PONG, n=header.n)
                continue
            self._waiting.append((header, body))
            async with self._arrived:
                self._arrived.notify_all()

    def welcome(self) -> Welcome:
        """What it answers to hello."""
        return Welcome(
            protocol=PROTOCOL_VERSION,
            boot_id="boot",
            version="9.9.9",
            capabilities=[],
            limits=self._limits,
            methods=sorted(METHODS),
        )
