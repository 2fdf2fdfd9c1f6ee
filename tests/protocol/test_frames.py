"""Whole messages: those that both sides read, and those of which one frame is broken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.service.context import RequestContext
from sidecar.service.dispatcher import Dispatcher
from sidecar.transport.hub import Hub
from sidecar.transport.memory import MemoryHost
from sidecar.transport.terms import Terms
from sidecar_client import Engine, EngineLost, errors
from sidecar_client.connection import Connection
from sidecar_client.life import Life, OnLost
from sidecar_client.liveness import Liveness
from sidecar_protocol.codec import decode, decode_header
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ProtocolError
from sidecar_protocol.tokens import TokensEncode, TokensEncoded
from tests.support.fake_engine import FakeEngine
from tests.support.fixtures import Entry, fixture, from_readable
from tests.support.raw_host import MemoryChannel, RawHost

FRAMES = fixture("frames.json")
SENT_BY_HOST = {"hello", "req", "cancel", "credit", "ping", "pong", "res", "err", "bye"}
SENT_BY_ENGINE = {"welcome", "evts", "res", "err", "req", "cancel", "ntf", "ping", "pong", "bye"}


def name_of(entry: Entry) -> str:
    return str(entry["name"])


def rejected(sender: str) -> pytest.MarkDecorator:
    entries = [entry for entry in FRAMES["rejected"] if entry["from"] == sender]
    return pytest.mark.parametrize("entry", entries, ids=name_of)


@pytest.mark.parametrize("entry", FRAMES["accepted"], ids=name_of)
def test_a_message_is_read(entry: Entry) -> None:
    assert decode_header(bytes.fromhex(entry["header"])) == Header(**entry["reads"]["header"])
    assert decode(bytes.fromhex(entry["body"])) == from_readable(entry["reads"]["body"])


@pytest.mark.parametrize("entry", FRAMES["rejected"], ids=name_of)
def test_the_broken_frame_is_refused_and_the_other_is_not(entry: Entry) -> None:
    read = {"header": decode_header, "body": decode}
    sound = "body" if entry["frame"] == "header" else "header"
    read[sound](bytes.fromhex(entry[sound]))
    with pytest.raises(ProtocolError) as refused:
        read[entry["frame"]](bytes.fromhex(entry[entry["frame"]]))
    assert refused.value.code == entry["code"]


def test_every_kind_is_there_from_each_side_that_sends_it_and_one_that_nobody_knows() -> None:
    for sender, kinds in (("host", SENT_BY_HOST), ("engine", SENT_BY_ENGINE)):
        present = {entry["reads"]["header"]["k"] for entry in FRAMES["accepted"] if entry["from"] == sender}
        assert present == kinds | {"of_tomorrow"}
    assert set(Kind) == SENT_BY_HOST | SENT_BY_ENGINE


def test_names_are_unique() -> None:
    for entries in FRAMES.values():
        names = [entry["name"] for entry in entries]
        assert len(set(names)) == len(names)


async def encode(params: TokensEncode, context: RequestContext) -> TokensEncoded:
    return TokensEncoded(token_ids=[1])


@rejected("host")
async def test_the_engine_says_so_and_the_connection_lives(entry: Entry) -> None:
    hub = Hub(
        Terms(dispatcher=Dispatcher({"tokens.encode": encode}), boot_id="b", version="1"), single_host=True
    )
    host = RawHost(MemoryChannel(MemoryHost(hub)))
    await host.hello()
    await host.send_frames(bytes.fromhex(entry["header"]), bytes.fromhex(entry["body"]))
    header, body = await host.receive()
    assert isinstance(body, dict)
    assert body["code"] == entry["code"]
    if entry["frame"] == "body":
        assert (header.k, header.id) == (Kind.ERROR, 1)
    else:
        assert (header.k, header.m) == (Kind.NOTIFICATION, "protocol.error")
    await host.request(9, "tokens.encode", {"text": "a"})
    assert (await host.terminal(9))[0].k == Kind.RESULT
    await hub.shut_down(0)


@asynccontextmanager
async def attached(fake: FakeEngine) -> AsyncIterator[Engine]:
    """Our client, connected to an engine that is played by hand."""

    async def open_life(connection: Connection, on_lost: OnLost) -> Life:
        await connection.open(fake.door, 5.0)
        return Life(connection, None, on_lost)

    engine = Engine(
        open_life, restart=None, handlers=None, on_notice=None, on_notification=None, liveness=Liveness()
    )
    yield await engine.open()
    await engine.close()


@rejected("engine")
async def test_the_client_fails_the_request_or_where_it_cannot_tell_which_the_connection(
    entry: Entry,
) -> None:
    async with FakeEngine() as fake, attached(fake) as engine:
        call = asyncio.ensure_future(engine.tokens.encode(text="a"))
        header, _ = await fake.next(Kind.REQUEST)
        assert header.id == 1
        await fake.send_frames(bytes.fromhex(entry["header"]), bytes.fromhex(entry["body"]))
        with pytest.raises(errors.InvalidMessage if entry["frame"] == "body" else EngineLost):
            await call
