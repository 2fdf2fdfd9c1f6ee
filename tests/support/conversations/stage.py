"""Records a conversation: a script says what both sides do, the stage notes what they send."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from sidecar_client.channel import Door, Frames
from sidecar_client.connection import Connection
from sidecar_client.liveness import Liveness
from sidecar_protocol.codec import decode, decode_header
from sidecar_protocol.envelope import Kind
from tests.support.conversations.pins import Pins
from tests.support.conversations.player import Fields, Player
from tests.support.conversations.service import Service, quiet

DEADLINE_SECONDS = 10.0
NOWHERE = Door("memory", "", "", "")
NEVER_MS = 3_600_000


class Stage:
    """A client and the service in one process. `protocols` are those the engine speaks."""

    def __init__(self, protocols: tuple[int, ...] = (1,)) -> None:
        self.actions: list[Fields] = []
        self.steps: list[Fields] = []
        self.engine_does: list[Fields] = []
        self._stack = ExitStack()
        self._stack.enter_context(spoken_protocols(protocols))
        self._service = Service()
        self._player = Player(self._open)
        self._pins = Pins()
        self._stepped = asyncio.Event()

    @property
    def observes(self) -> list[Fields]:
        """What the program has seen."""
        return self._player.said

    async def connect(self, **terms: object) -> None:
        """The program attaches to the engine; it sends no pings of its own."""
        liveness = {"ping_every_ms": NEVER_MS, "frozen_after_ms": NEVER_MS}
        await self.act("connect", engine="a", **terms, liveness=liveness)

    async def act(self, do: str, **fields: object) -> None:
        """The program does something."""
        action = {"do": do, **fields}
        noted = {"after": len(self.steps), "seen": len(self._player.said)}
        self.actions.append({**action, **noted})
        self._player.do(action)
        await quiet()

    async def engine(self, **deed: object) -> None:
        """The engine does something; see `perform`."""
        self.engine_does.append({"after": len(self.steps), **deed})
        await perform(self._service, deed)

    async def compute_all(self) -> None:
        """The engine computes until there is nothing left to do."""
        while self._service.has_work:
            before, unseen = len(self.steps), 0
            while self._service.has_work and len(self.steps) == before:
                await self._service.compute(1)
                unseen += 1
            self.engine_does.append({"after": before, "steps": unseen})

    async def wait_for_step(self) -> None:
        """Wait for a message that time brings."""
        self._stepped.clear()
        await asyncio.wait_for(self._stepped.wait(), DEADLINE_SECONDS)
        await quiet()

    async def close(self) -> None:
        """The end of the recording."""
        await self._player.close()
        await self._service.close()
        self._stack.close()

    async def _open(self, connection: Connection) -> None:
        await connection.open(NOWHERE, DEADLINE_SECONDS, open_channel=self._channel)

    def _channel(
        self,
        door: Door,
        liveness: Liveness,
        deliver: Callable[[list[Frames]], None],
        ended: Callable[[str], None],
    ) -> "MemoryChannel":
        return MemoryChannel(self._service, deliver, ended, self._note)

    def _note(self, sender: str, frames: Frames) -> Frames:
        """Write a message down; gives it as it was written."""
        header, body = frames
        if sender == "engine":
            body = self._pins.body(body)
        elif decode_header(header).k == Kind.HELLO:
            body = self._pins.hello(body)
        reads = {"header": decode(header), "body": decode(body)}
        self.steps.append({"from": sender, "header": header.hex(), "body": body.hex(), "reads": reads})
        self._stepped.set()
        return [header, body]


class MemoryChannel:
    """What the client takes for its socket."""

    def __init__(
        self,
        service: Service,
        deliver: Callable[[list[Frames]], None],
        ended: Callable[[str], None],
        note: Callable[[str, Frames], Frames],
    ) -> None:
        self._service = service
        self._ended = ended
        self._note = note
        self._task = asyncio.ensure_future(self._receive(deliver))

    def send(self, frames: Frames) -> None:
        """A message of the host."""
        self._note("host", frames)
        asyncio.get_running_loop().call_soon(self._service.host.send_frames, frames)

    async def close(self) -> None:
        """Receive nothing more."""
        self._task.cancel()
        self._ended("it was closed by this program")

    async def _receive(self, deliver: Callable[[list[Frames]], None]) -> None:
        while True:
            deliver([self._note("engine", await self._service.host.receive_frames())])


async def perform(service: Service, deed: Fields) -> None:
    """What an engine does unasked: `steps` of computing, a `notify`, or from now on `pings`."""
    match deed:
        case {"steps": int(steps)}:
            await service.compute(steps)
        case {"notify": str(name), "body": dict(body)}:
            service.hub.notify(name, body)
            await quiet()
        case {"pings": True}:
            service.hub.start()
        case _:
            raise ValueError(f"an engine cannot {deed}")


def spoken_protocols(versions: tuple[int, ...]) -> Any:
    """An engine that speaks these versions of the protocol."""
    return patch("sidecar.transport.peer.SUPPORTED_PROTOCOLS", versions)
