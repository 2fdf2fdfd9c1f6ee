"""Hosts that send whatever a test wants, over memory or ZeroMQ, with one face."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgpack
import zmq
import zmq.asyncio

from sidecar.transport.memory import MemoryHost
from sidecar_protocol.codec import decode, decode_header, encode_header
from sidecar_protocol.envelope import Header, Kind

DEADLINE_SECONDS = 10.0

Message = tuple[Header, object]


class FrameChannel(Protocol):
    """Sends and receives frames, nothing more."""

    async def send_frames(self, frames: list[bytes]) -> None: ...

    async def receive_frames(self) -> list[bytes]: ...

    def close(self) -> None: ...


class MemoryChannel:
    def __init__(self, host: MemoryHost) -> None:
        self.host = host

    async def send_frames(self, frames: list[bytes]) -> None:
        self.host.send_frames(frames)

    async def receive_frames(self) -> list[bytes]:
        return await self.host.receive_frames()

    def close(self) -> None:
        self.host.gone = True


class ZeroMQChannel:
    """A DEALER with CURVE. `keys` and `server_key` are z85; wrong ones are a test's business."""

    def __init__(
        self,
        endpoint: str,
        server_key: str,
        keys: tuple[bytes, bytes],
        *,
        identity: bytes | None = None,
        receive_hwm: int | None = None,
    ) -> None:
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        if identity is not None:
            self._socket.setsockopt(zmq.IDENTITY, identity)
        if receive_hwm is not None:
            self._socket.setsockopt(zmq.RCVHWM, receive_hwm)
        self._socket.setsockopt(zmq.CURVE_SERVERKEY, server_key.encode())
        self._socket.setsockopt(zmq.CURVE_PUBLICKEY, keys[0])
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, keys[1])
        self._socket.connect(endpoint)

    async def send_frames(self, frames: list[bytes]) -> None:
        await self._socket.send_multipart(frames)

    async def receive_frames(self) -> list[bytes]:
        return list(await self._socket.recv_multipart())

    def close(self) -> None:
        self._context.destroy(linger=0)


class RawHost:
    """Speaks the envelope by hand: every helper sends exactly what it says."""

    def __init__(self, channel: FrameChannel) -> None:
        self.channel = channel
        self.seen: list[Message] = []

    async def send_frames(self, *frames: bytes) -> None:
        await asyncio.wait_for(self.channel.send_frames(list(frames)), DEADLINE_SECONDS)

    async def send(self, header: Header, body: object = None) -> None:
        await self.send_frames(encode_header(header), msgpack.packb(body))

    async def hello(self, *capabilities: str, protocols: tuple[int, ...] = (1,)) -> Message:
        """Say hello; returns the welcome or bye."""
        body = {
            "protocols": list(protocols),
            "client": {"name": "raw", "version": "0"},
            "capabilities": list(capabilities),
        }
        await self.send(Header(k=Kind.HELLO), body)
        return await self.receive()

    async def request(
        self, request_id: int, method: str, params: object = None, *, credit: int | None = None, **header: int
    ) -> None:
        await self.send(
            Header(k=Kind.REQUEST, id=request_id, m=method, credit=credit, **header), params or {}
        )

    async def cancel(self, request_id: int) -> None:
        await self.send(Header(k=Kind.CANCEL, id=request_id))

    async def credit(self, request_id: int, events: int) -> None:
        await self.send(Header(k=Kind.CREDIT, id=request_id, credit=events))

    async def receive(self) -> Message:
        """The next message; TimeoutError when none comes in time."""
        frames = await asyncio.wait_for(self.channel.receive_frames(), DEADLINE_SECONDS)
        assert len(frames) == 2
        message = decode_header(frames[0]), decode(frames[1])
        self.seen.append(message)
        return message

    async def receive_until(self, matches: Callable[[Header], bool]) -> list[Message]:
        """Messages up to the first whose header matches, that one included."""
        messages = [await self.receive()]
        while not matches(messages[-1][0]):
            messages.append(await self.receive())
        return messages

    async def terminal(self, request_id: int) -> Message:
        """The terminal of a request; what comes before it stays in `seen`."""
        messages = await self.receive_until(
            lambda header: header.k in (Kind.RESULT, Kind.ERROR) and header.id == request_id
        )
        return messages[-1]

    async def notice(self) -> dict[str, object]:
        """The body of the next message, which must be `ntf protocol.error`."""
        header, body = await self.receive()
        assert (header.k, header.m) == (Kind.NOTIFICATION, "protocol.error"), (header, body)
        assert isinstance(body, dict)
        return body

    async def round_trip(self) -> list[Message]:
        """Everything the sidecar has sent up to the answer of a ping sent now."""
        await self.send(Header(k=Kind.PING, n=4242))
        messages = await self.receive_until(lambda header: header.k == Kind.PONG and header.n == 4242)
        return messages[:-1]

    async def assert_alive(self, request_id: int = 1_000_000) -> None:
        """The connection still answers a request to the stage."""
        await self.request(request_id, "test.play", {"value": "alive"})
        header, body = await self.terminal(request_id)
        assert (header.k, body) == (Kind.RESULT, {"answer": "alive"})

    def events(self, request_id: int) -> list[object]:
        """Events of a request seen so far, after checking that their sequence has no gap."""
        entries = [
            entry
            for header, body in self.seen
            if header.k == Kind.EVENTS and isinstance(body, list)
            for entry in body
            if entry[0] == request_id
        ]
        assert [entry[1] for entry in entries] == list(range(len(entries)))
        return [entry[2] for entry in entries]
