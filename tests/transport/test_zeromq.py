"""What only the socket can get wrong: keys, noise at the port, full pipes, identities, endpoints."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
import zmq

from sidecar.errors import Conflict, InvalidParams
from sidecar.service.dispatcher import Dispatcher
from sidecar.transport.curve import CurveKeys
from sidecar.transport.hub import Hub
from sidecar.transport.terms import Terms
from sidecar.transport.zeromq import ZeroMQServer, check_endpoint
from sidecar_protocol.codec import encode_header
from sidecar_protocol.envelope import Header, Kind
from tests.support.raw_host import RawHost, ZeroMQChannel
from tests.support.stage import Fact, Stage, Text

Serve = Callable[..., ZeroMQServer]
CLIENT = CurveKeys.generate()


def make_hub(stage: Stage, *, single_host: bool = True) -> Hub:
    terms = Terms(dispatcher=Dispatcher({"test.play": stage.play}), boot_id="b", version="v")
    return Hub(terms, single_host=single_host)


@pytest.fixture
async def serve(stage: Stage) -> AsyncIterator[Serve]:
    servers: list[tuple[Hub, ZeroMQServer]] = []

    def make(*, single_host: bool = True, **options: object) -> ZeroMQServer:
        hub = make_hub(stage, single_host=single_host)
        server = ZeroMQServer(hub, client_key=CLIENT.public, **options)
        server.start()
        servers.append((hub, server))
        return server

    yield make
    for hub, server in servers:
        await hub.shut_down(0)
        await server.close()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., RawHost]]:
    channels: list[ZeroMQChannel] = []

    def make(server: ZeroMQServer, **options: object) -> RawHost:
        keys = (CLIENT.public.encode(), CLIENT.secret.encode())
        chosen = {"keys": keys, "server_key": server.server_key, **options}
        channels.append(ZeroMQChannel(server.endpoint, **chosen))
        return RawHost(channels[-1])

    yield make
    for channel in channels:
        channel.close()


Connect = Callable[..., RawHost]


def port_of(server: ZeroMQServer) -> int:
    return int(server.endpoint.rpartition(":")[2])


async def assert_serves(server: ZeroMQServer, connect: Connect) -> RawHost:
    host = connect(server)
    assert (await host.hello())[0].k == Kind.WELCOME
    return host


async def test_it_listens_on_loopback_alone(serve: Serve) -> None:
    server = serve()
    (listening,) = (
        entry.laddr
        for entry in psutil.Process().net_connections(kind="tcp")
        if entry.status == psutil.CONN_LISTEN and entry.laddr.port == port_of(server)
    )
    assert listening.ip == "127.0.0.1"


async def test_a_wrong_key_is_not_admitted_and_the_right_one_still_is(serve: Serve, connect: Connect) -> None:
    server = serve()
    intruder = connect(server, keys=zmq.curve_keypair())
    monitor = intruder.channel._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    await asyncio.wait_for(monitor.poll(), 10)
    await assert_serves(server, connect)


async def test_a_host_without_curve_is_not_admitted(serve: Serve, connect: Connect) -> None:
    server = serve()
    with zmq.Context() as context, context.socket(zmq.DEALER) as plain:
        plain.setsockopt(zmq.LINGER, 0)
        monitor = plain.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
            | zmq.EVENT_DISCONNECTED
        )
        plain.connect(server.endpoint)
        assert await asyncio.to_thread(monitor.poll, 10_000)
        plain.disable_monitor()
        monitor.close()
    await assert_serves(server, connect)


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0" * 4096,
        os.urandom(4096),
        b"\xff\0\0\0\0\0\0\0\x01\x7f" * 50,
    ],
    ids=["http", "zeros", "random", "greeting-like"],
)
async def test_noise_at_the_port_changes_nothing(serve: Serve, connect: Connect, noise: bytes) -> None:
    server = serve()
    host = await assert_serves(server, connect)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port_of(server)), timeout=5) as raw:
            raw.sendall(noise)
    half_open = [socket.create_connection(("127.0.0.1", port_of(server)), timeout=5) for _ in range(20)]
    await host.request(1, "test.play", {"value": "still here"})
    assert (await host.terminal(1))[1] == {"answer": "still here"}
    for raw in half_open:
        raw.close()


async def test_a_frame_beyond_the_transports_limit_cuts_its_connection_alone(
    serve: Serve, connect: Connect
) -> None:
    server = serve(single_host=False)
    other = await assert_serves(server, connect)
    hostile = await assert_serves(server, connect)
    monitor = hostile.channel._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    await hostile.send_frames(encode_header(Header(k=Kind.REQUEST, id=1, m="test.play")), b"x" * (65 * 2**20))
    await asyncio.wait_for(monitor.poll(), 10)
    await other.request(1, "test.play", {"value": 1})
    assert (await other.terminal(1))[1] == {"answer": 1}


async def test_a_host_back_under_its_old_identity_starts_anew(
    serve: Serve, connect: Connect, stage: Stage
) -> None:
    server = serve()
    first = connect(server, identity=b"the-same")
    await first.hello()
    await first.request(50, "test.play", {"script": "wait"})
    context = await stage.context(50)
    first.channel.close()
    second = connect(server, identity=b"the-same")
    assert (await second.hello())[0].k == Kind.WELCOME
    assert context.end_reason is not None
    await second.request(1, "test.play", {"value": "ids begin again"})
    assert (await second.terminal(1))[1] == {"answer": "ids begin again"}


async def test_an_identity_in_use_cannot_be_taken_over(serve: Serve, connect: Connect) -> None:
    server = serve(single_host=False)
    first = connect(server, identity=b"mine")
    await first.hello()
    thief = connect(server, identity=b"mine")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(thief.hello(), 0.3)
    await first.request(1, "test.play", {"value": 1})
    assert (await first.terminal(1))[1] == {"answer": 1}


async def test_terminals_wait_in_the_outbox_of_a_host_that_does_not_read(
    serve: Serve, connect: Connect, stage: Stage
) -> None:
    server = serve(single_host=False)
    other = await assert_serves(server, connect)
    lazy = connect(server, receive_hwm=1)
    await lazy.hello()
    count, size = 2000, 8000
    for request_id in range(1, count + 1):
        await lazy.request(request_id, "test.play", {"value": "x" * size})
    await other.request(1, "test.play", {"value": "unmoved"})
    assert (await other.terminal(1))[1] == {"answer": "unmoved"}
    for request_id in range(1, count + 1):
        header, body = await lazy.receive()
        assert header == Header(k=Kind.RESULT, id=request_id, s=0)
        assert body == {"answer": "x" * size}


async def test_a_host_that_leaves_too_much_unread_loses_its_connection(
    serve: Serve, connect: Connect, stage: Stage
) -> None:
    server = serve(single_host=False, outbox_bytes=2**20)
    other = await assert_serves(server, connect)
    lazy = connect(server, receive_hwm=1)
    await lazy.hello()
    await lazy.request(1, "test.play", {"script": "wait"})
    context = await stage.context(1)
    request_id = 1
    while context.end_reason is None and request_id < 20_000:
        request_id += 1
        await lazy.request(request_id, "test.play", {"value": "x" * 20_000})
        if request_id % 100 == 0:
            await other.round_trip()
    assert context.end_reason is not None
    await other.request(1, "test.play", {"value": "unmoved"})
    assert (await other.terminal(1))[1] == {"answer": "unmoved"}


async def test_a_stalled_reader_costs_bounded_memory_and_others_stream_on(
    serve: Serve, connect: Connect, stage: Stage
) -> None:
    server = serve(single_host=False)
    lazy, quick = connect(server, receive_hwm=1), await assert_serves(server, connect)
    await lazy.hello()
    await lazy.request(1, "test.play", {"script": "wait", "stream": True})
    stalled = await stage.context(1)
    await quick.request(2, "test.play", {"script": "wait", "stream": True}, credit=256)
    running = await stage.context(2)
    process = psutil.Process()
    before = process.memory_info().rss
    for number in range(200):
        for _ in range(20):
            stalled.emit(Text(text="x" * 1000))
        running.emit(Fact(fact=str(number)))
        await asyncio.sleep(0)
    assert process.memory_info().rss - before < 16 * 2**20
    assert stalled.end_reason is not None
    stage.released.set()
    assert (await quick.terminal(2))[0].s == 200
    header, body = await lazy.terminal(1)
    assert body["code"] == "slow_consumer"
    assert len(lazy.events(1)) == header.s


async def test_what_was_sent_before_close_still_arrives(connect: Connect, stage: Stage) -> None:
    hub = make_hub(stage)
    server = ZeroMQServer(hub, client_key=CLIENT.public)
    server.start()
    host = connect(server)
    await host.hello()
    await hub.shut_down(0)
    closing = asyncio.ensure_future(server.close())
    header, body = await host.receive()
    host.channel.close()
    await asyncio.wait_for(closing, 5)
    assert (header.k, body["code"]) == (Kind.BYE, "shutting_down")


async def test_a_path_is_served_to_this_user_alone(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    server = serve(endpoint=f"ipc://{path}")
    assert server.endpoint == f"ipc://{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await assert_serves(server, connect)
    intruder = connect(server, keys=zmq.curve_keypair())
    monitor = intruder.channel._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    await asyncio.wait_for(monitor.poll(), 10)


async def test_a_port_in_use_is_a_conflict(serve: Serve, stage: Stage) -> None:
    taken = serve().endpoint
    with pytest.raises(Conflict, match=r"cannot listen on tcp://127\.0\.0\.1:"):
        ZeroMQServer(make_hub(stage), client_key=CLIENT.public, endpoint=taken)


@pytest.mark.parametrize("key", ["", "short", "é" * 40, "x" * 41, "\\" * 40])
def test_a_client_key_that_cannot_be_right_is_refused_without_repeating_it(key: str, stage: Stage) -> None:
    with pytest.raises(InvalidParams, match="40 characters of z85") as caught:
        ZeroMQServer(make_hub(stage), client_key=key)
    assert not key or key not in caught.value.message


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://0.0.0.0:*", "tcp://*:5000", "tcp://example.org:1", "tcp://127.0.0.1", "tcp://127.0.0.1:http",
     "tcp://localhost:1", "ipc://relative", "inproc://x", "udp://127.0.0.1:1", "127.0.0.1:1", ""],
)  # fmt: skip
def test_endpoints_that_others_could_reach_are_refused(endpoint: str) -> None:
    with pytest.raises(InvalidParams, match="cannot listen on"):
        check_endpoint(endpoint)


def test_a_secret_key_is_not_in_its_repr() -> None:
    keys = CurveKeys.generate()
    assert keys.public in repr(keys)
    assert keys.secret not in repr(keys)
