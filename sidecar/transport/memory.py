"""Carries messages within one process: the same hub and peers without sockets, for tests and embedding."""

import asyncio

from sidecar.transport.hub import Hub
from sidecar.transport.peer import Peer


class MemoryHost:
    """A host's end: what it sends arrives at once, what it is sent waits in a queue.

    `gone` stands for a broken connection: the sidecar's next message finds nobody.
    """

    def __init__(self, hub: Hub) -> None:
        self.gone = False
        self._hub = hub
        self._received: asyncio.Queue[list[bytes]] = asyncio.Queue()
        self._peer: Peer | None = None

    def send_frames(self, frames: list[bytes]) -> None:
        """Send a message of any number of frames."""
        if self._peer is None:
            self._peer = self._hub.connect(_MemoryLink(self))
        self._peer.receive(frames)

    async def receive_frames(self) -> list[bytes]:
        """The next message from the sidecar."""
        return await self._received.get()

    def deliver(self, header: bytes, body: bytes) -> bool:
        """Put a message where the host reads; False when it is gone."""
        if not self.gone:
            self._received.put_nowait([header, body])
        return not self.gone

    def disconnect(self) -> None:
        """The sidecar has forgotten this connection; the next message begins a new one."""
        self._peer = None


class _MemoryLink:
    """The sidecar's way to a MemoryHost."""

    def __init__(self, host: MemoryHost) -> None:
        self._host = host

    def send(self, header: bytes, body: bytes) -> bool:
        """Hand over one message; False when the host is gone."""
        return self._host.deliver(header, body)

    def close(self) -> None:
        """Forget the host."""
        self._host.disconnect()
