"""The rules of a message: frames, ids, terminals, errors. Every test runs over both transports."""

import asyncio

import msgpack
import pytest

from sidecar.errors import Busy, NotFound
from sidecar.service.context import RequestContext
from sidecar_protocol.codec import encode_header
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.limits import LIMITS, MAX_ID, Limits
from tests.support.raw_host import RawHost
from tests.support.site import Build
from tests.support.stage import Answer, Play, Stage


async def test_a_request_gets_one_result(host: RawHost) -> None:
    await host.request(1, "test.play", {"value": {"a": [1, 2.5, "x", None]}})
    header, body = await host.receive()
    assert header == Header(k=Kind.RESULT, id=1, s=0)
    assert body == {"answer": {"a": [1, 2.5, "x", None]}}
    assert await host.round_trip() == []


async def test_an_error_of_a_handler_is_an_err(host: RawHost, stage: Stage) -> None:
    @stage.script
    async def fail(params: Play, context: RequestContext) -> object:
        raise Busy("the queue is full", retry_after_ms=7)

    await host.request(1, "test.play", {"script": "fail"})
    header, body = await host.receive()
    assert header == Header(k=Kind.ERROR, id=1, s=0)
    assert body == {
        "code": "busy",
        "message": "the queue is full",
        "retryable": True,
        "data": {"retry_after_ms": 7},
    }


async def test_an_unknown_method_names_the_nearest(host: RawHost) -> None:
    await host.request(1, "test.pley")
    header, body = await host.receive()
    assert header.k == Kind.ERROR
    assert body["code"] == "method_not_found"
    assert "test.play" in body["message"]


async def test_an_unknown_field_in_params_is_refused(host: RawHost) -> None:
    await host.request(1, "test.play", {"valeu": 1})
    _, body = await host.receive()
    assert body["code"] == "invalid_params"
    assert body["data"]["nearest"] == "value"


async def test_unknown_fields_of_a_header_are_ignored(host: RawHost) -> None:
    header = msgpack.packb({"k": "req", "id": 1, "m": "test.play", "later": {"x": 1}})
    await host.send_frames(header, msgpack.packb({"value": 5}))
    assert (await host.terminal(1))[1] == {"answer": 5}


@pytest.mark.parametrize("count", [1, 3, 7])
async def test_a_message_must_have_two_frames(host: RawHost, count: int) -> None:
    await host.send_frames(*[b"\x80"] * count)
    notice = await host.notice()
    assert notice["code"] == "invalid_message"
    assert f"{count} frames" in notice["message"]
    await host.assert_alive()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the frame ends"),
        (b"\xc1", "0xc1"),
        (b"\x91" * 65 + b"\xc0", "deeper than 64"),
        (b"\x91" * 100_000 + b"\xc0", "deeper than 64"),
        (b"\x80\x80", "follow"),
        (b"\x82\xa1a\x01\xa1a\x01", "twice"),
        (b"\x81\xa5value\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", "finite"),
        (b"\xa1\xff", "UTF-8"),
        (b"GET / HTTP/1.1\r\n\r\n", "follow"),
    ],
)
async def test_an_unreadable_body_is_answered_by_the_headers_id(
    host: RawHost, body: bytes, problem: str
) -> None:
    await host.send_frames(encode_header(Header(k=Kind.REQUEST, id=1, m="test.play")), body)
    header, error = await host.receive()
    assert header == Header(k=Kind.ERROR, id=1, s=0)
    assert error["code"] == "invalid_message"
    assert problem in error["message"]
    await host.assert_alive()


@pytest.mark.parametrize(
    "header", [b"", b"\xc1", b"\xc0", b"\x80", b"\x81\xa1k\x01", b"\x91" * 70, b"x" * 5000]
)
async def test_an_unreadable_header_is_a_protocol_error(host: RawHost, header: bytes) -> None:
    await host.send_frames(header, b"\x80")
    notice = await host.notice()
    assert notice["code"] in ("invalid_message", "too_large")
    await host.assert_alive()


async def test_a_bad_request_header_with_a_readable_id_is_answered_by_it(host: RawHost) -> None:
    header = msgpack.packb({"k": "req", "id": 5, "m": "test.play", "ttl": -1})
    await host.send_frames(header, b"\x80")
    header, body = await host.receive()
    assert header == Header(k=Kind.ERROR, id=5, s=0)
    assert body["code"] == "invalid_message"
    assert "ttl" in body["message"]
    await host.assert_alive()


async def test_a_body_over_the_limit_is_too_large_and_the_connection_lives(host: RawHost) -> None:
    body = msgpack.packb({"value": b"x" * (20 * 2**20)})
    await host.send_frames(encode_header(Header(k=Kind.REQUEST, id=1, m="test.play")), body)
    header, error = await host.receive()
    assert header == Header(k=Kind.ERROR, id=1, s=0)
    assert error["code"] == "too_large"
    assert error["data"] == {"size": len(body), "limit": LIMITS.message_bytes}
    await host.assert_alive()


async def test_too_many_elements_are_too_large(host: RawHost) -> None:
    await host.request(1, "test.play", {"value": [0] * LIMITS.elements})
    _, error = await host.receive()
    assert error["code"] == "too_large"
    await host.assert_alive()


async def test_a_result_over_the_limit_is_too_large_with_its_size(build: Build, stage: Stage) -> None:
    host = build(limits=Limits(message_bytes=10_000)).host()
    await host.hello()

    @stage.script
    async def long(params: Play, context: RequestContext) -> object:
        return "x" * 20_000

    await host.request(1, "test.play", {"script": "long"})
    header, error = await host.receive()
    assert header.k == Kind.ERROR
    assert error["code"] == "too_large"
    assert error["data"]["limit"] == 10_000
    assert error["data"]["size"] > 20_000


async def test_a_result_that_is_no_message_is_an_internal_error(host: RawHost, stage: Stage) -> None:
    @stage.script
    async def broken(params: Play, context: RequestContext) -> object:
        return {"x": float("nan")}

    await host.request(1, "test.play", {"script": "broken"})
    header, error = await host.receive()
    assert (header.k, error["code"]) == (Kind.ERROR, "internal")
    await host.assert_alive()


async def test_a_reused_id_is_told_and_the_running_request_lives(host: RawHost, stage: Stage) -> None:
    await host.request(7, "test.play", {"script": "wait"})
    await stage.context(7)
    for lower in (7, 3):
        await host.request(lower, "test.play", {"value": "again"})
        notice = await host.notice()
        assert (notice["id"], notice["limit"]) == (lower, 7)
    stage.released.set()
    assert await host.receive() == (Header(k=Kind.RESULT, id=7, s=0), {"answer": "released"})


async def test_ids_go_up_to_the_largest_that_javascript_reads(host: RawHost) -> None:
    await host.request(0, "test.play", {"value": 0})
    assert (await host.receive())[0] == Header(k=Kind.RESULT, id=0, s=0)
    await host.request(MAX_ID, "test.play", {"value": 1})
    assert (await host.receive())[0] == Header(k=Kind.RESULT, id=MAX_ID, s=0)
    header = msgpack.packb({"k": "req", "id": MAX_ID + 1, "m": "test.play"})
    await host.send_frames(header, b"\x80")
    assert (await host.notice())["code"] == "invalid_message"


@pytest.mark.parametrize("kind", [Kind.CANCEL, Kind.CREDIT, Kind.RESULT, Kind.ERROR])
async def test_what_refers_to_an_id_never_used_is_told(host: RawHost, kind: Kind) -> None:
    await host.send(Header(k=kind, id=99, credit=1))
    notice = await host.notice()
    assert (notice["code"], notice["id"]) == ("invalid_message", 99)
    await host.assert_alive()


@pytest.mark.parametrize("kind", [Kind.CANCEL, Kind.CREDIT])
async def test_what_refers_to_an_ended_id_is_ignored(host: RawHost, kind: Kind) -> None:
    await host.request(1, "test.play", {"value": 1})
    await host.terminal(1)
    await host.send(Header(k=kind, id=1, credit=5))
    await host.send(Header(k=kind, id=0, credit=5))
    assert await host.round_trip() == []


@pytest.mark.parametrize("kind", [Kind.REQUEST, Kind.CANCEL, Kind.CREDIT, Kind.RESULT])
async def test_a_kind_that_needs_an_id_says_so(host: RawHost, kind: Kind) -> None:
    await host.send(Header(k=kind, m="test.play"))
    assert "needs an id" in (await host.notice())["message"]


async def test_a_request_needs_a_method(host: RawHost) -> None:
    await host.send(Header(k=Kind.REQUEST, id=1))
    header, body = await host.receive()
    assert (header.k, header.id, body["code"]) == (Kind.ERROR, 1, "invalid_message")


async def test_an_idempotency_key_is_refused_where_no_method_takes_one(host: RawHost) -> None:
    await host.send(Header(k=Kind.REQUEST, id=1, m="test.play", idem="once"), {})
    _, body = await host.receive()
    assert body["code"] == "invalid_params"
    assert "idem" in body["message"]


@pytest.mark.parametrize(
    "header", [Header(k="future"), Header(k=Kind.WELCOME), Header(k=Kind.EVENTS), Header(k="ntf", m="x.y")]
)
async def test_unknown_kinds_and_notifications_are_ignored(host: RawHost, header: Header) -> None:
    await host.send(header, {"x": 1})
    assert await host.round_trip() == []


async def test_ping_is_answered_with_its_nonce(host: RawHost) -> None:
    await host.send(Header(k=Kind.PING, n=31))
    assert (await host.receive())[0] == Header(k=Kind.PONG, n=31)


async def test_too_many_running_requests_are_busy(build: Build, stage: Stage) -> None:
    host = build(limits=Limits(requests=2)).host()
    await host.hello()
    for request_id in (1, 2, 3):
        await host.request(request_id, "test.play", {"script": "wait"})
    header, body = await host.receive()
    assert (header.id, body["code"]) == (3, "busy")
    assert body["data"]["retry_after_ms"] > 0
    stage.released.set()
    assert {(await host.receive())[0].id, (await host.receive())[0].id} == {1, 2}


class TestEnding:
    async def test_cancel_ends_a_request_with_its_partial_output(self, host: RawHost, stage: Stage) -> None:
        @stage.script
        async def slow(params: Play, context: RequestContext) -> object:
            context.partial = lambda: Answer(answer="half")
            await stage.released.wait()
            return "whole"

        await host.request(1, "test.play", {"script": "slow"})
        await stage.context(1)
        await host.cancel(1)
        header, body = await host.receive()
        assert header == Header(k=Kind.ERROR, id=1, s=0)
        assert body["code"] == "cancelled"
        assert body["data"]["partial"] == {"answer": "half"}

    async def test_cancel_is_idempotent(self, host: RawHost, stage: Stage) -> None:
        await host.request(1, "test.play", {"script": "wait"})
        for _ in range(5):
            await host.cancel(1)
        header, body = await host.receive()
        assert (header.k, body["code"]) == (Kind.ERROR, "cancelled")
        await host.cancel(1)
        assert await host.round_trip() == []

    async def test_cancel_right_behind_the_request_ends_it(self, host: RawHost) -> None:
        for request_id in range(1, 30):
            await host.request(request_id, "test.play", {"script": "wait"})
            await host.cancel(request_id)
        for request_id in range(1, 30):
            header, body = await host.terminal(request_id)
            assert (header.k, body["code"]) == (Kind.ERROR, "cancelled")

    async def test_the_deadline_ends_a_request(self, host: RawHost) -> None:
        await host.request(1, "test.play", {"script": "wait"}, ttl=30)
        header, body = await host.receive()
        assert header.k == Kind.ERROR
        assert body["code"] == "deadline_exceeded"
        assert body["retryable"]
        assert "30 ms" in body["message"]

    async def test_a_request_that_ends_in_time_does_not_meet_its_deadline(self, host: RawHost) -> None:
        await host.request(1, "test.play", {"value": 1}, ttl=60_000)
        assert (await host.receive())[0].k == Kind.RESULT

    async def test_cancel_inside_the_handler_still_gives_a_terminal(
        self, host: RawHost, stage: Stage
    ) -> None:
        @stage.script
        async def give_in(params: Play, context: RequestContext) -> object:
            raise asyncio.CancelledError

        await host.request(1, "test.play", {"script": "give_in"})
        header, body = await host.receive()
        assert (header.k, body["code"]) == (Kind.ERROR, "cancelled")

    async def test_a_partial_output_that_fails_still_gives_a_terminal(
        self, host: RawHost, stage: Stage
    ) -> None:
        @stage.script
        async def broken(params: Play, context: RequestContext) -> object:
            def fail() -> Answer:
                raise ValueError("no partial output")

            context.partial = fail
            await stage.released.wait()
            return None

        await host.request(1, "test.play", {"script": "broken"})
        await stage.context(1)
        await host.cancel(1)
        header, body = await host.receive()
        assert (header.k, body["code"]) == (Kind.ERROR, "internal")
        await host.assert_alive()

    async def test_a_partial_output_too_large_to_send_is_left_out(self, build: Build, stage: Stage) -> None:
        host = build(limits=Limits(message_bytes=10_000)).host()
        await host.hello()

        @stage.script
        async def long(params: Play, context: RequestContext) -> object:
            context.partial = lambda: Answer(answer="x" * 20_000)
            await stage.released.wait()

        await host.request(1, "test.play", {"script": "long"})
        await stage.context(1)
        await host.cancel(1)
        _, body = await host.receive()
        assert body["code"] == "cancelled"
        assert "partial" not in body.get("data", {})
        assert "too large" in body["message"]


async def test_a_typed_error_keeps_its_data(host: RawHost, stage: Stage) -> None:
    @stage.script
    async def missing(params: Play, context: RequestContext) -> object:
        raise NotFound("no such model", data={"model": "x"})

    await host.request(1, "test.play", {"script": "missing"})
    assert (await host.receive())[1]["data"] == {"model": "x"}
