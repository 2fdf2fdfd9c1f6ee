"""An engine that says what a conversation says, over a real socket."""

from typing import Self

import zmq
import zmq.asyncio

from sidecar_client.channel import Door


class SpeakingEngine:
    """Sends and receives frames as they are; knows nothing of what they mean."""

    def __init__(self) -> None:
        public, secret = zmq.curve_keypair()
        client_public, client_secret = zmq.curve_keypair()
        self._context = zmq.asyncio.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.curve_server = True
        self._router.curve_secretkey = secret
        port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self.door = Door(
            f"tcp://127.0.0.1:{port}", public.decode(), client_public.decode(), client_secret.decode()
        )
        self._peer = b""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._context.destroy(linger=0)

    async def send(self, header: bytes, body: bytes) -> None:
        """One message."""
        await self._router.send_multipart([self._peer, header, body])

    async def receive(self) -> list[bytes]:
        """The next message."""
        self._peer, *frames = await self._router.recv_multipart()
        return frames

    async def nothing_more(self) -> bool:
        """Whether no message waits."""
        return not await self._router.poll(0)
