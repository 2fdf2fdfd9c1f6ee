"""What the sidecar asks of its host. Every test runs over both transports."""

import asyncio
import gc

import pytest

from sidecar.service.context import RequestContext
from sidecar_protocol.codec import encode_header
from sidecar_protocol.envelope import Header, Kind
from tests.support.raw_host import RawHost
from tests.support.site import Site
from tests.support.stage import Play, Stage


async def ask_host(stage: Stage, host: RawHost, method: str = "host.call_tool") -> None:
    @stage.script
    async def ask(params: Play, context: RequestContext) -> object:
        return await context.connection.request(method, {"name": "add"}, parent=context.request_id)

    await host.request(5, "test.play", {"script": "ask"})


async def test_the_hosts_answer_comes_back(host: RawHost, stage: Stage) -> None:
    await ask_host(stage, host)
    header, body = await host.receive()
    assert header == Header(k=Kind.REQUEST, id=1, m="host.call_tool", p=5)
    assert body == {"name": "add"}
    await host.send(Header(k=Kind.RESULT, id=1, s=0), {"sum": 3})
    assert await host.receive() == (Header(k=Kind.RESULT, id=5, s=0), {"answer": {"sum": 3}})


async def test_the_hosts_error_comes_back(host: RawHost, stage: Stage) -> None:
    await ask_host(stage, host)
    await host.receive()
    await host.send(Header(k=Kind.ERROR, id=1, s=0), {"code": "permission_denied", "message": "no"})
    _, body = await host.receive()
    assert (body["code"], body["message"]) == ("permission_denied", "no")


async def test_an_error_code_we_do_not_know_keeps_its_name(host: RawHost, stage: Stage) -> None:
    await ask_host(stage, host)
    await host.receive()
    await host.send(Header(k=Kind.ERROR, id=1), {"code": "on_fire", "message": "hot"})
    _, body = await host.receive()
    assert body["code"] == "upstream_failed"
    assert body["data"]["code"] == "on_fire"


async def test_an_unreadable_answer_fails_the_request_alone(host: RawHost, stage: Stage) -> None:
    await ask_host(stage, host)
    await host.receive()
    await host.send_frames(encode_header(Header(k=Kind.RESULT, id=1)), b"\xc1")
    _, body = await host.receive()
    assert body["code"] == "upstream_failed"
    await host.assert_alive()


async def test_without_the_capability_it_is_unsupported(host: RawHost, stage: Stage) -> None:
    await ask_host(stage, host, "host.elicit")
    _, body = await host.receive()
    assert body["code"] == "unsupported"
    assert "host.elicit" in body["message"]


async def test_cancelling_the_parent_cancels_the_child(host: RawHost, stage: Stage) -> None:
    await ask_host(stage, host)
    await host.receive()
    await host.cancel(5)
    header, _ = await host.receive()
    assert header == Header(k=Kind.CANCEL, id=1)
    header, body = await host.receive()
    assert (header.id, body["code"]) == (5, "cancelled")
    await host.send(Header(k=Kind.RESULT, id=1), {"sum": 3})
    assert await host.round_trip() == []


async def test_a_cancelled_child_is_told_once_and_may_still_end(host: RawHost, stage: Stage) -> None:
    ended = asyncio.Event()

    @stage.script
    async def end_well(params: Play, context: RequestContext) -> object:
        try:
            return await context.connection.request("host.call_tool", {}, parent=context.request_id)
        finally:
            ended.set()

    await host.request(5, "test.play", {"script": "end_well"})
    await host.receive()
    await host.cancel(5)
    header, _ = await host.receive()
    assert header == Header(k=Kind.CANCEL, id=1)
    assert not ended.is_set()
    await host.send(Header(k=Kind.ERROR, id=1, s=0), {"code": "cancelled", "message": "as you wish"})
    header, body = await host.receive()
    assert (header.id, body["code"]) == (5, "cancelled")
    assert await host.round_trip() == []


async def test_an_error_that_comes_after_the_cancel_is_no_fault_of_ours(
    host: RawHost, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    await ask_host(stage, host)
    await host.receive()
    await host.cancel(5)
    await host.receive()
    await host.send(Header(k=Kind.ERROR, id=1, s=0), {"code": "internal", "message": "too late"})
    await host.terminal(5)
    await host.round_trip()
    gc.collect()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_child_that_does_not_end_is_told_once(host: RawHost, stage: Stage) -> None:
    await ask_host(stage, host)
    await host.receive()
    await host.cancel(5)
    await host.terminal(5)
    cancels = [header for header, _ in host.seen if header.k == Kind.CANCEL]
    assert cancels == [Header(k=Kind.CANCEL, id=1)]


async def test_a_child_in_another_task_ends_with_its_parent(host: RawHost, stage: Stage) -> None:
    tasks: list[asyncio.Task[object]] = []

    @stage.script
    async def leave_behind(params: Play, context: RequestContext) -> object:
        asking = context.connection.request("host.call_tool", {}, parent=context.request_id)
        tasks.append(asyncio.ensure_future(asking))
        await asyncio.sleep(0)
        return "done"

    await host.request(5, "test.play", {"script": "leave_behind"})
    kinds = [(await host.receive())[0].k for _ in range(3)]
    assert kinds == [Kind.REQUEST, Kind.CANCEL, Kind.RESULT]
    with pytest.raises(Exception, match="was cancelled: the request it served has ended"):
        await tasks[0]


async def test_ids_of_the_two_sides_are_apart(host: RawHost, stage: Stage) -> None:
    await ask_host(stage, host)
    await host.receive()
    await host.cancel(1)
    assert await host.round_trip() == []
    await host.send(Header(k=Kind.RESULT, id=1), "ok")
    assert (await host.terminal(5))[1] == {"answer": "ok"}


async def test_a_notification_arrives(site: Site, host: RawHost) -> None:
    site.hub.notify("models.changed", {"models": []})
    assert await host.receive() == (Header(k=Kind.NOTIFICATION, m="models.changed"), {"models": []})
