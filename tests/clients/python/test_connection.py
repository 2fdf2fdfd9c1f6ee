"""Handshake, calls, errors and the end of a connection, against an engine played by hand."""

import asyncio
import time
from dataclasses import replace

import msgspec
import pytest

from sidecar.service.dispatcher import Dispatcher
from sidecar.transport.hub import Hub
from sidecar.transport.terms import Terms
from sidecar.transport.zeromq import ZeroMQServer
from sidecar_client import Engine, EngineError, EngineLost, StartFailed, errors
from sidecar_client.notices import EngineCrashed, Notice
from sidecar_protocol.chat_messages import UserMessage
from sidecar_protocol.envelope import Kind
from sidecar_protocol.limits import LIMITS, MAX_HEADER_BYTES
from tests.clients.python.conftest import Attach
from tests.support.fake_engine import FakeEngine


async def test_hello_says_who_calls_and_what_it_answers(fake: FakeEngine, attach: Attach) -> None:
    async def call_tool(params: object) -> object:
        return params

    engine = await attach(fake, handlers={"host.call_tool": call_tool})
    client = fake.hello["client"]
    assert isinstance(client, dict)
    assert (client["name"], client["language"]) == ("sidecar_client", "python")
    assert fake.hello["protocols"] == [1]
    assert fake.hello["capabilities"] == ["host.call_tool"]
    assert engine.welcome.version == "9.9.9"


async def test_call_gives_the_result_as_plain_objects(fake: FakeEngine, engine: Engine) -> None:
    call = asyncio.ensure_future(engine.call("tokens.encode", {"text": "hi"}))
    header, body = await fake.next(Kind.REQUEST)
    assert (header.m, body, header.credit) == ("tokens.encode", {"text": "hi"}, None)
    await fake.send(Kind.RESULT, {"token_ids": [1]}, id=header.id, s=0)
    assert await call == {"token_ids": [1]}


async def test_ids_rise_and_answers_find_their_request(fake: FakeEngine, engine: Engine) -> None:
    first = asyncio.ensure_future(engine.tokens.encode(text="a"))
    second = asyncio.ensure_future(engine.tokens.encode(text="b"))
    ids = [(await fake.next(Kind.REQUEST))[0].id or 0 for _ in range(2)]
    assert ids[0] < ids[1]
    for request_id in reversed(ids):
        await fake.send(Kind.RESULT, {"token_ids": [request_id]}, id=request_id, s=0)
    assert (await first).token_ids == [ids[0]]
    assert (await second).token_ids == [ids[1]]


async def test_messages_may_be_structs_or_plain(fake: FakeEngine, engine: Engine) -> None:
    stream = engine.chat.stream(
        messages=[UserMessage(content="one"), {"role": "user", "content": "two"}], max_tokens=5
    )
    _, body = await fake.next(Kind.REQUEST)
    assert body == {
        "messages": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}],
        "max_tokens": 5,
        "stream": True,
    }
    stream.cancel()


async def test_a_deadline_travels_as_time_to_live(fake: FakeEngine, engine: Engine) -> None:
    call = asyncio.ensure_future(engine.chat.create(messages=[], deadline_seconds=1.5))
    header, body = await fake.next(Kind.REQUEST)
    assert (header.ttl, body) == (1500, {"messages": []})
    error = {"code": "deadline_exceeded", "message": "too slow", "data": {"partial": {"text": "so far"}}}
    await fake.send(Kind.ERROR, error, id=header.id, s=0)
    with pytest.raises(errors.DeadlineExceeded) as caught:
        await call
    assert caught.value.partial == {"text": "so far"}


async def test_an_error_arrives_as_the_exception_of_its_code(fake: FakeEngine, engine: Engine) -> None:
    call = asyncio.ensure_future(engine.models.load("huge"))
    header, _ = await fake.next(Kind.REQUEST)
    body = {"code": "busy", "message": "full", "retryable": True, "data": {"retry_after_ms": 5}}
    await fake.send(Kind.ERROR, body, id=header.id, s=0)
    with pytest.raises(errors.Busy, match="full") as caught:
        await call
    assert (caught.value.code, caught.value.retryable, caught.value.data) == (
        "busy",
        True,
        {"retry_after_ms": 5},
    )


async def test_an_unknown_code_arrives_as_engine_error(fake: FakeEngine, engine: Engine) -> None:
    call = asyncio.ensure_future(engine.info())
    header, _ = await fake.next(Kind.REQUEST)
    await fake.send(Kind.ERROR, {"code": "of_tomorrow", "message": "new"}, id=header.id, s=0)
    with pytest.raises(EngineError) as caught:
        await call
    assert type(caught.value) is EngineError
    assert caught.value.code == "of_tomorrow"


async def test_a_result_of_another_shape_is_an_error(fake: FakeEngine, engine: Engine) -> None:
    call = asyncio.ensure_future(engine.tokens.encode(text="a"))
    header, _ = await fake.next(Kind.REQUEST)
    await fake.send(Kind.RESULT, {"token_ids": "none"}, id=header.id, s=0)
    with pytest.raises(errors.InvalidMessage, match=r"tokens\.encode"):
        await call


async def test_unknown_fields_and_kinds_are_ignored(fake: FakeEngine, engine: Engine) -> None:
    call = asyncio.ensure_future(engine.tokens.encode(text="a"))
    header, _ = await fake.next(Kind.REQUEST)
    await fake.send("of_tomorrow", {"x": 1}, id=header.id)
    await fake.send(Kind.RESULT, {"token_ids": [], "added": 1}, id=header.id, s=0)
    assert (await call).token_ids == []


async def test_an_oversized_message_never_leaves(attach: Attach) -> None:
    async with FakeEngine(limits=msgspec.structs.replace(LIMITS, message_bytes=1000)) as fake:
        engine = await attach(fake)
        with pytest.raises(errors.TooLarge) as caught:
            await engine.tokens.encode(text="x" * 1001)
        assert caught.value.data["limit"] == 1000
        await fake.round_trip()
        assert fake.count(Kind.REQUEST) == 0


async def test_a_header_too_long_never_leaves(fake: FakeEngine, engine: Engine) -> None:
    with pytest.raises(errors.TooLarge) as caught:
        await engine.call("m" * 5000)
    assert caught.value.data["limit"] == MAX_HEADER_BYTES
    await fake.round_trip()
    assert fake.count(Kind.REQUEST) == 0


async def test_params_that_cannot_be_sent_are_refused_here(engine: Engine) -> None:
    with pytest.raises(errors.InvalidMessage):
        await engine.chat.create(messages=[], temperature=float("nan"))


async def test_a_cancelled_task_cancels_its_request(fake: FakeEngine, engine: Engine) -> None:
    call = asyncio.ensure_future(engine.chat.create(messages=[]))
    header, _ = await fake.next(Kind.REQUEST)
    call.cancel()
    cancelled, _ = await fake.next(Kind.CANCEL)
    assert cancelled.id == header.id
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_bye_in_the_handshake_is_explained(attach: Attach) -> None:
    async with FakeEngine(answers_hello=False) as fake:
        opening = asyncio.ensure_future(attach(fake))
        await fake.next(Kind.HELLO)
        await fake.send(Kind.BYE, {"code": "conflict", "message": "another host is connected"})
        with pytest.raises(StartFailed, match="another host is connected") as caught:
            await opening
        assert caught.value.code == "conflict"


async def test_an_engine_that_never_welcomes_is_given_up(attach: Attach) -> None:
    async with FakeEngine(answers_hello=False) as fake:
        with pytest.raises(StartFailed, match=r"did not answer hello within 0\.2 s"):
            await attach(fake, handshake_timeout=0.2)


async def test_a_wrong_server_key_is_given_up(attach: Attach) -> None:
    async with FakeEngine() as fake, FakeEngine() as other:
        fake.door = replace(fake.door, server_key=other.door.server_key)
        with pytest.raises(StartFailed, match="handshake failed"):
            await attach(fake)


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"endpoint": "tcp://127.0.0.1:1"}, "nothing listens there"),
        ({"endpoint": "nonsense"}, "cannot be connected to"),
        ({"client_key": "no key"}, "cannot be connected to"),
        ({"client_secret": "r" * 40}, "the encrypted handshake failed"),
    ],
)
async def test_a_door_that_leads_nowhere_is_explained_at_once(
    fake: FakeEngine, attach: Attach, change: dict[str, str], explanation: str
) -> None:
    fake.door = replace(fake.door, **change)
    began = time.monotonic()
    with pytest.raises(StartFailed, match=explanation):
        await attach(fake)
    assert time.monotonic() - began < 2


async def test_a_refused_key_is_explained(attach: Attach) -> None:
    hub = Hub(Terms(dispatcher=Dispatcher({}), boot_id="boot", version="1"), single_host=True)
    server = ZeroMQServer(hub, client_key="r" * 40)
    server.start()
    async with FakeEngine() as fake:
        fake.door = replace(fake.door, endpoint=server.endpoint, server_key=server.server_key)
        with pytest.raises(StartFailed, match="refused this program's key"):
            await attach(fake)
    await hub.shut_down(0)
    await server.close()


async def test_a_lost_connection_fails_what_is_pending_within_a_second(attach: Attach) -> None:
    notices: list[Notice] = []
    fake = FakeEngine()
    engine = await attach(fake, on_notice=notices.append)
    call = asyncio.ensure_future(engine.info())
    await fake.next(Kind.REQUEST)
    began = time.monotonic()
    await fake.close(linger=0)
    with pytest.raises(EngineLost) as caught:
        await call
    assert time.monotonic() - began < 1
    assert caught.value.may_have_executed
    assert caught.value.exit_status is None
    with pytest.raises(EngineLost) as later:
        await engine.info()
    assert not later.value.may_have_executed
    assert [type(notice) for notice in notices] == [EngineCrashed]


async def test_answers_before_the_end_still_count(attach: Attach) -> None:
    fake = FakeEngine()
    engine = await attach(fake)
    call = asyncio.ensure_future(engine.tokens.encode(text="a"))
    pending = asyncio.ensure_future(engine.info())
    header, _ = await fake.next(Kind.REQUEST)
    await fake.send(Kind.RESULT, {"token_ids": [3]}, id=header.id, s=0)
    await fake.send(Kind.BYE, {"code": "shutting_down", "message": "told to end"})
    assert (await call).token_ids == [3]
    with pytest.raises(EngineLost, match="told to end"):
        await pending
    await fake.close()


async def test_an_answer_with_the_end_on_its_heels_is_not_lost(attach: Attach) -> None:
    for _ in range(20):
        fake = FakeEngine()
        engine = await attach(fake)
        call = asyncio.ensure_future(engine.tokens.encode(text="a"))
        header, _ = await fake.next(Kind.REQUEST)
        await fake.send(Kind.RESULT, {"token_ids": [3]}, id=header.id, s=0)
        await fake.close()
        assert (await call).token_ids == [3]


async def test_an_unreadable_message_ends_the_connection(fake: FakeEngine, engine: Engine) -> None:
    call = asyncio.ensure_future(engine.info())
    await fake.next(Kind.REQUEST)
    await fake.send_frames(b"\xc1", b"\x80")
    with pytest.raises(EngineLost, match="unreadable"):
        await call


async def test_an_unreadable_result_fails_its_request_alone(fake: FakeEngine, engine: Engine) -> None:
    call = asyncio.ensure_future(engine.info())
    other = asyncio.ensure_future(engine.tokens.encode(text="a"))
    first, _ = await fake.next(Kind.REQUEST)
    second, _ = await fake.next(Kind.REQUEST)
    await fake.send_frames(msgspec.msgpack.encode({"k": "res", "id": first.id, "s": 0}), b"\xc1")
    await fake.send(Kind.RESULT, {"token_ids": []}, id=second.id, s=0)
    with pytest.raises(errors.InvalidMessage):
        await call
    assert (await other).token_ids == []


async def test_pings_are_answered(fake: FakeEngine, engine: Engine) -> None:
    await fake.send(Kind.PING, n=41)
    header, _ = await fake.next(Kind.PONG)
    assert header.n == 41


async def test_closing_says_bye_and_fails_what_is_pending(fake: FakeEngine, attach: Attach) -> None:
    engine = await attach(fake)
    call = asyncio.ensure_future(engine.info())
    await fake.next(Kind.REQUEST)
    await engine.close()
    await fake.next(Kind.BYE)
    with pytest.raises(EngineLost, match="closed by this program"):
        await call
    with pytest.raises(EngineLost):
        await engine.info()
    await engine.close()


async def test_notifications_reach_their_sinks(fake: FakeEngine, engine: Engine) -> None:
    bodies: list[object] = []
    stop = engine.on_notification("models.changed", bodies.append)
    await fake.send(Kind.NOTIFICATION, {"model": "m"}, m="models.changed")
    await fake.send(Kind.NOTIFICATION, {}, m="engine.pressure")
    await fake.round_trip()
    assert bodies == [{"model": "m"}]
    stop()
    await fake.send(Kind.NOTIFICATION, {"model": "n"}, m="models.changed")
    await fake.round_trip()
    assert bodies == [{"model": "m"}]


async def test_a_notification_right_behind_the_welcome_is_not_lost(attach: Attach) -> None:
    told: list[tuple[str, object]] = []
    async with FakeEngine(answers_hello=False) as fake:
        opening = asyncio.ensure_future(
            attach(fake, on_notification=lambda name, body: told.append((name, body)))
        )
        await fake.next(Kind.HELLO)
        await fake.send(Kind.WELCOME, fake.welcome())
        await fake.send(Kind.NOTIFICATION, {"model": "m"}, m="models.changed")
        await fake.round_trip()
        await opening
        assert told == [("models.changed", {"model": "m"})]


async def test_a_sink_that_raises_costs_neither_other_sinks_nor_requests(
    fake: FakeEngine, engine: Engine
) -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: reported.append(context.get("exception"))
    )
    mistake = RuntimeError("a mistake of the program's")

    def broken(body: object) -> None:
        raise mistake

    bodies: list[object] = []
    engine.on_notification("models.changed", broken)
    engine.on_notification("models.changed", bodies.append)
    call = asyncio.ensure_future(engine.call("tokens.encode", {"text": "hi"}))
    header, _ = await fake.next(Kind.REQUEST)
    await fake.send(Kind.NOTIFICATION, {"model": "m"}, m="models.changed")
    await fake.send(Kind.RESULT, {"token_ids": [1]}, id=header.id, s=0)
    assert await call == {"token_ids": [1]}
    assert bodies == [{"model": "m"}]
    assert reported == [mistake]
