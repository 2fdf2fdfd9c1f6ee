"""Whatever a host sends: no exception, one terminal for each accepted request, no gap in any stream."""

import asyncio
import collections
from dataclasses import dataclass

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.service.dispatcher import Dispatcher
from sidecar.transport.hub import Hub
from sidecar.transport.memory import MemoryHost
from sidecar.transport.terms import Terms
from sidecar_protocol.codec import decode, decode_header, encode_header
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.limits import Limits
from tests.support.stage import Fact, Progress, Stage, Text

LIMITS = Limits(message_bytes=2000, held_bytes=200, streams=2, requests=4, credit=8)
TERMINALS = (Kind.RESULT, Kind.ERROR)


@dataclass(frozen=True)
class Emit:
    """The handlers emit something on every stream that runs."""

    size: int


@dataclass(frozen=True)
class Turn:
    """The event loop turns, and handlers end if `release`."""

    release: bool


ids = st.integers(-1, 12) | st.sampled_from([2**53 - 1, 2**53, 2**64 - 1])
bodies = st.sampled_from(
    [
        msgpack.packb({"script": "wait", "stream": True}),
        msgpack.packb({"script": "wait"}),
        msgpack.packb({"value": "x" * 100}),
        msgpack.packb({"value": "x" * 3000}),
        msgpack.packb({"value": "x" * 1990}),
        msgpack.packb({"nonsense": 1}),
        b"\xc1",
        b"",
    ]
) | st.binary(max_size=20)
kinds = st.sampled_from([*map(str, Kind), "future"])
fields = st.fixed_dictionaries(
    {"k": kinds},
    optional={
        "id": ids,
        "m": st.sampled_from(["test.play", "test.plya", "engine.logs"]),
        "credit": st.integers(-1, 20),
        "ttl": st.integers(0, 3),
        "n": st.integers(0, 3),
        "idem": st.just("key"),
    },
).map(msgpack.packb)
request = st.builds(
    lambda number, credit, body: [
        encode_header(Header(k=Kind.REQUEST, id=number, m="test.play", credit=credit)),
        body,
    ],
    st.integers(0, 12),
    st.integers(0, 20),
    bodies,
)
messages = request | st.tuples(fields, bodies).map(list) | st.lists(st.binary(max_size=10), max_size=4)
steps = st.lists(
    messages | st.builds(Emit, st.integers(0, 120)) | st.builds(Turn, st.booleans()), max_size=40
)


@given(steps)
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_one_terminal_and_no_gap_whatever_is_sent(
    methods: None, caplog: pytest.LogCaptureFixture, steps: list[list[bytes] | Emit | Turn]
) -> None:
    stage = Stage()
    terms = Terms(
        dispatcher=Dispatcher({"test.play": stage.play, "engine.logs": stage.play}),
        boot_id="b",
        version="v",
        limits=LIMITS,
    )
    hub = Hub(terms, single_host=True)
    host = MemoryHost(hub)
    hello = {"protocols": [1], "client": {"name": "any", "version": "0"}}
    host.send_frames([encode_header(Header(k=Kind.HELLO)), msgpack.packb(hello)])
    for step in steps:
        match step:
            case Emit(size):
                for number, context in stage.contexts.items():
                    event = (Text(text="x" * size), Progress(done=size), Fact(fact="y" * size))[number % 3]
                    context.emit(event)
            case Turn(release):
                for _ in range(3):
                    await asyncio.sleep(0)
                if release:
                    stage.released.set()
                    stage.released = asyncio.Event()
            case frames:
                host.send_frames(frames)
    await hub.shut_down(0)
    assert not terms.tasks
    assert_sound(await everything_from(host))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def everything_from(host: MemoryHost) -> list[tuple[Header, object]]:
    host.deliver(b"end", b"")
    received = []
    while (frames := await host.receive_frames())[0] != b"end":
        received.append((decode_header(frames[0]), decode(frames[1])))
    return received


def assert_sound(received: list[tuple[Header, object]]) -> None:
    """Of each connection: at most one terminal per id, after its events, of which it knows the number."""
    sent: collections.Counter[int] = collections.Counter()
    ended: set[int] = set()
    for header, body in received:
        if header.k == Kind.WELCOME:
            sent.clear()
            ended.clear()
        elif header.k == Kind.EVENTS:
            assert isinstance(body, list)
            for request_id, sequence, _ in body:
                assert request_id not in ended
                assert sequence == sent[request_id]
                sent[request_id] += 1
        elif header.k in TERMINALS and header.id is not None:
            assert header.id not in ended
            assert header.s == sent[header.id]
            ended.add(header.id)
    last, body = received[-1]
    if last.k == Kind.BYE and isinstance(body, dict) and body["code"] == "shutting_down":
        assert set(sent) <= ended
