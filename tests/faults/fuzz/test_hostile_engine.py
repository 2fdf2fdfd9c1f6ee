"""Mutated messages into the client, all the way in: one end for each request, typed errors, flat memory.

The socket is left out, so that a connection that gives up can be followed by
another one a hundred thousand times; everything behind it is the client's own.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable
from typing import Any, Final

import msgpack
import psutil
import pytest

from sidecar_client import EngineLost, errors
from sidecar_client.calls import event_reader, result_reader
from sidecar_client.channel import Door, Frames
from sidecar_client.connection import Connection
from sidecar_client.liveness import Liveness
from sidecar_client.request import Request
from sidecar_protocol.codec import decode_header, encode_body
from sidecar_protocol.envelope import Kind
from sidecar_protocol.errors import ProtocolError
from sidecar_protocol.handshake import Welcome
from sidecar_protocol.limits import LIMITS
from sidecar_protocol.methods import METHODS
from tests.faults.fuzz.engine_frames import EngineFrames, Waiting
from tests.faults.fuzz.tally import OTHER, Tally

SEED = int(os.environ.get("FUZZ_SEED", "1"))
ROUNDS = 10
GROWTH_BYTES = 16 * 2**20
TYPES_SHARE = 0.3
DOOR: Final = Door("tcp://127.0.0.1:1", "", "", "")

FRAMES, HEADER, FIELDS, BODY, SHAPE = (
    "number of frames",
    "header: msgpack",
    "header: fields",
    "body: msgpack",
    "message of another shape",
)
BYE, IGNORED, GAP = "bye", "ignored: unknown, or about nothing", "a gap in the events"
TOLD, ASKED = "notification", "request of the engine, answered once"
ANSWER, EVENT_REFUSED, EVENT_UNKNOWN, EVENT = (
    "answer: msgpack or shape",
    "types: event refused",
    "types: event of an unknown type",
    "types: event taken",
)
RESULT_REFUSED, RESULT, ERROR = "types: result refused", "types: result taken", "types: error taken"
STAGES: Final = (
    FRAMES,
    HEADER,
    FIELDS,
    BODY,
    SHAPE,
    BYE,
    IGNORED,
    TOLD,
    ASKED,
    GAP,
    ANSWER,
    EVENT_REFUSED,
    EVENT_UNKNOWN,
    EVENT,
    RESULT_REFUSED,
    RESULT,
    ERROR,
)
TYPES_REACHED: Final = (EVENT_REFUSED, EVENT_UNKNOWN, EVENT, RESULT_REFUSED, RESULT, ERROR)


class MemoryChannel:
    """In place of the socket: the test delivers, and sees what the client answers."""

    newest: "MemoryChannel"

    def __init__(
        self,
        door: Door,
        liveness: Liveness,
        deliver: Callable[[list[Frames]], None],
        ended: Callable[[str], None],
    ) -> None:
        MemoryChannel.newest = self
        self.deliver = deliver
        self.answered: list[int] = []
        """Ids of the engine's requests, in the order of the answers."""

    def send(self, frames: Frames) -> None:
        header = msgpack.unpackb(frames[0])
        if header["k"] == Kind.HELLO:
            asyncio.get_running_loop().call_soon(self.deliver, [WELCOME])
        elif header["k"] in (Kind.RESULT, Kind.ERROR):
            self.answered.append(header["id"])

    async def close(self) -> None:
        pass


WELCOME: Final = [
    msgpack.packb({"k": "welcome"}),
    encode_body(Welcome(protocol=1, boot_id="b", version="1", capabilities=[], limits=LIMITS, methods=[])),
]


class Client:
    """A client with one request that waits, whatever happens to the connections before."""

    def __init__(self, frames: EngineFrames) -> None:
        self.tally = Tally(STAGES, TYPES_REACHED)
        self.connections = 0
        self._frames = frames
        self._told = False
        self._connection: Connection | None = None
        self._request: Request | None = None
        self._method = ""
        self._events = 0
        self._asked: set[int] = set()

    async def meet_one(self) -> None:
        """Deliver one message and see what comes of it."""
        connection, request = await self._ready()
        assert request.id is not None
        frames = self._frames.next(Waiting(request.id, self._method, self._events))
        self._told = False
        asked = asked_id(frames)
        MemoryChannel.newest.deliver([frames])
        stage = await self._stage(connection, request)
        if stage == BODY and not is_header(frames[0]):
            stage = HEADER
        if stage == IGNORED and self._told:
            stage = TOLD
        if stage == IGNORED and asked is not None and asked > max(self._asked, default=-1):
            self._asked.add(asked)
            stage = ASKED
        assert stage != OTHER, (connection.end_reason, [frame.hex() for frame in frames])
        self.tally.add(stage)
        if connection.end_reason is not None:
            await self.leave()
        elif request.ended:
            self._request = None

    async def leave(self) -> None:
        """Close the connection: what still waited must end, and once."""
        connection, request = self._connection, self._request
        self._connection = self._request = None
        assert connection is not None
        if request is not None:
            connection.fail_pending(EngineLost("the connection is over"))
            assert request.ended
        await connection.close()
        # Answers go out in the turn behind their handler's end.
        await asyncio.sleep(0)
        assert sorted(MemoryChannel.newest.answered) == sorted(self._asked)
        self._asked.clear()

    async def _ready(self) -> tuple[Connection, Request]:
        if self._connection is None:
            handlers = {"host.call_tool": _answer, "host.elicit": _hold, "host.open_url": _fail}
            connection = Connection(handlers, Liveness(), lambda _: None, self._take_notification)
            await connection.open(DOOR, 5.0, open_channel=MemoryChannel)
            self.connections += 1
            self._connection = connection
        if self._request is None:
            self._method, self._events = self._frames.method(), 0
            self._request = Request(self._method, b"\x80", credit=32, ttl=None)
            self._request.open_reader()
            self._connection.submit(self._request)
        return self._connection, self._request

    def _take_notification(self, name: str, body: object) -> None:
        self._told = True

    async def _stage(self, connection: Connection, request: Request) -> str:
        reached = [await self._read_event(request) for _ in range(request.buffered)]
        self._events += len(reached)
        if request.ended:
            return await self._read_end(request)
        if connection.end_reason is not None:
            return _stage_of_end(connection.end_reason)
        return min(reached, key=STAGES.index) if reached else IGNORED

    async def _read_event(self, request: Request) -> str:
        plain = await request.next_event()
        try:
            event = event_reader(self._method)(plain)
        except errors.InvalidMessage:
            return EVENT_REFUSED
        return EVENT_UNKNOWN if event is None else EVENT

    async def _read_end(self, request: Request) -> str:
        try:
            plain = await request.result()
        except errors.InvalidMessage as error:
            if "missing from the stream" in error.message or "have arrived" in error.message:
                return GAP
            # The engine's own error may have this code, too.
            return ANSWER if "cannot be read" in error.message else ERROR
        except errors.EngineError:
            return ERROR
        try:
            result_reader(self._method, METHODS[self._method].result)(plain)
        except errors.InvalidMessage:
            return RESULT_REFUSED
        return RESULT


def is_header(frame: bytes) -> bool:
    """Whether a header can be read from it."""
    try:
        decode_header(frame)
    except ProtocolError:
        return False
    return True


def asked_id(frames: Frames) -> int | None:
    """The id of a request of the engine's that can be read."""
    try:
        header = decode_header(frames[0])
    except ProtocolError:
        return None
    return header.id if header.k == Kind.REQUEST and len(frames) == 2 else None


async def _answer(params: object) -> object:
    return {"output": "3"}


async def _hold(params: object) -> object:
    return await asyncio.get_running_loop().create_future()


async def _fail(params: object) -> object:
    raise ValueError("no browser")


def _stage_of_end(reason: str) -> str:
    if reason.startswith("it said goodbye"):
        return BYE
    if "frames; it must have 2" in reason:
        return FRAMES
    if "of another shape" in reason:
        return SHAPE
    if ": header: " in reason:
        return FIELDS
    return BODY if reason.startswith("it sent an unreadable message") else OTHER


@pytest.mark.parametrize(
    "messages", [20_000, pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
async def test_every_mutated_message_ends_in_a_type_or_a_typed_error(
    messages: int, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    # Every record would be kept until the end.
    caplog.set_level(logging.CRITICAL, logger="sidecar_client")
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    client = Client(EngineFrames(random.Random(SEED)))
    process = psutil.Process()
    resident: list[int] = []
    started = time.monotonic()
    for _ in range(ROUNDS):
        for _ in range(messages // ROUNDS):
            await client.meet_one()
        resident.append(process.memory_info().rss)
        assert faults == []
    await client.leave()
    seconds = time.monotonic() - started
    with capsys.disabled():
        print(
            f"\n{messages:,} messages of a hostile engine (seed {SEED}), {client.connections:,} connections, "
            f"{messages / seconds:,.0f}/s:"
        )
        print(client.tally.table())
        print("resident MB:", ", ".join(f"{size / 1e6:.0f}" for size in resident))
    assert client.tally.total == messages
    assert client.tally.deep_share >= TYPES_SHARE
    assert max(resident[3:]) - resident[2] < GROWTH_BYTES
    assert len(asyncio.all_tasks()) == 1
