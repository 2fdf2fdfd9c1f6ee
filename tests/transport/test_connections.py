"""Hello, who is admitted, who is gone, and the orderly end. Every test runs over both transports."""

import asyncio

import msgpack
import pytest

from sidecar.errors import Cancelled, UpstreamFailed
from sidecar.service.context import RequestContext
from sidecar_protocol.codec import encode_header
from sidecar_protocol.envelope import Header, Kind
from tests.support.raw_host import RawHost
from tests.support.site import Build, Site
from tests.support.stage import Fact, Play, Stage


async def bye_of(host: RawHost) -> dict[str, object]:
    header, body = await host.receive()
    assert header.k == Kind.BYE, (header, body)
    assert isinstance(body, dict)
    return body


class TestHello:
    async def test_welcome_says_what_there_is(self, site: Site) -> None:
        header, body = await site.host().hello()
        assert header == Header(k=Kind.WELCOME)
        assert body == {
            "protocol": 1,
            "boot_id": "boot",
            "version": "1.2.3",
            "capabilities": ["tools"],
            "limits": {
                "message_bytes": 16 * 2**20,
                "frame_bytes": 64 * 2**20,
                "depth": 64,
                "elements": 262_144,
                "streams": 256,
                "requests": 1024,
                "credit": 256,
                "held_bytes": 256 * 2**10,
            },
            "methods": ["engine.logs", "engine.watch", "test.play"],
        }

    async def test_the_newest_common_version_is_chosen(self, site: Site) -> None:
        _, body = await site.host().hello(protocols=(99, 1, 0))
        assert body["protocol"] == 1

    async def test_no_common_version_is_refused(self, site: Site) -> None:
        host = site.host()
        header, body = await host.hello(protocols=(2, 3))
        assert (header.k, body["code"]) == (Kind.BYE, "unsupported_protocol")
        assert "[2, 3]" in body["message"]
        assert site.hub.connections == 0
        assert (await host.hello())[0].k == Kind.WELCOME

    @pytest.mark.parametrize(
        "body", [b"\xc1", b"\xc0", b"\x80", msgpack.packb({"protocols": "1", "client": {}}), b"\x91" * 65]
    )
    async def test_a_hello_that_cannot_be_read_is_refused(self, site: Site, body: bytes) -> None:
        host = site.host()
        await host.send_frames(encode_header(Header(k=Kind.HELLO)), body)
        assert (await bye_of(host))["code"] == "invalid_message"

    @pytest.mark.parametrize("kind", [Kind.REQUEST, Kind.PING, Kind.CANCEL, Kind.NOTIFICATION, "future"])
    async def test_who_speaks_without_hello_gets_bye(self, site: Site, kind: str) -> None:
        host = site.host()
        await host.send(Header(k=kind, id=1, m="test.play"), {})
        body = await bye_of(host)
        assert body["code"] == "invalid_message"
        assert "hello" in body["message"]
        assert site.hub.connections == 0

    @pytest.mark.parametrize("frames", [[b"\xc1", b"\x80"], [b"\x80"], [b"\x80"] * 3])
    async def test_noise_without_hello_gets_bye(self, site: Site, frames: list[bytes]) -> None:
        host = site.host()
        await host.send_frames(*frames)
        assert (await bye_of(host))["code"] == "invalid_message"

    async def test_a_second_hello_on_one_connection_is_told_and_changes_nothing(
        self, host: RawHost, stage: Stage
    ) -> None:
        await host.request(1, "test.play", {"script": "wait"})
        await stage.context(1)
        await host.send(Header(k=Kind.HELLO), {"protocols": [1], "client": {"name": "x", "version": "0"}})
        assert (await host.notice())["code"] == "conflict"
        stage.released.set()
        assert (await host.terminal(1))[0].k == Kind.RESULT

    async def test_welcomed_is_called_once_after_the_first_welcome(self, build: Build) -> None:
        calls: list[str] = []
        site = build(single_host=False, welcomed=lambda: calls.append("welcomed"))
        refused = site.host()
        await refused.hello(protocols=(9,))
        assert calls == []
        for _ in range(2):
            host = site.host()
            await host.hello()
            await host.round_trip()
        assert calls == ["welcomed"]


class TestSingleHost:
    async def test_a_second_host_is_refused_while_the_first_lives(
        self, site: Site, host: RawHost, stage: Stage
    ) -> None:
        await host.request(1, "test.play", {"script": "wait"})
        second = site.host()
        header, body = await second.hello()
        assert (header.k, body["code"]) == (Kind.BYE, "conflict")
        stage.released.set()
        assert (await host.terminal(1))[0].k == Kind.RESULT
        assert site.hub.connections == 1

    async def test_a_second_host_is_welcome_once_the_first_is_gone(
        self, site: Site, host: RawHost, stage: Stage
    ) -> None:
        await host.request(1, "test.play", {"script": "wait"})
        context = await stage.context(1)
        host.channel.close()
        second = site.host()
        async with asyncio.timeout(10):
            while (await second.hello())[0].k != Kind.WELCOME:
                continue
        assert isinstance(context.end_reason, Cancelled)
        await second.request(1, "test.play", {"value": 2})
        assert (await second.terminal(1))[1] == {"answer": 2}

    async def test_after_bye_another_host_is_welcome(self, site: Site, host: RawHost) -> None:
        await host.send(Header(k=Kind.BYE), {"code": "done", "message": "thanks"})
        await host.send(Header(k=Kind.PING, n=1))
        assert "hello" in (await bye_of(host))["message"]
        assert (await site.host().hello())[0].k == Kind.WELCOME


class TestSeveralHosts:
    async def test_ids_credit_and_cancel_are_each_connections_own(self, build: Build, stage: Stage) -> None:
        site = build(single_host=False, debug=True)
        hosts = [site.host(), site.host()]
        for host in hosts:
            assert (await host.hello())[0].k == Kind.WELCOME
        assert site.hub.connections == 2
        contexts = []
        for host in hosts:
            await host.request(1, "test.play", {"script": "wait", "stream": True}, credit=2)
            contexts.append(await stage.context(1))
            del stage.contexts[1]
        assert contexts[0].connection.connection_id != contexts[1].connection.connection_id
        assert site.hub.active_requests == 2
        for number in range(4):
            contexts[0].emit(Fact(fact=str(number)))
        await hosts[1].cancel(1)
        assert (await hosts[1].terminal(1))[1]["code"] == "cancelled"
        await hosts[0].round_trip()
        assert len(hosts[0].events(1)) == 2
        stage.released.set()
        assert (await hosts[0].terminal(1))[0] == Header(k=Kind.RESULT, id=1, s=4)
        assert hosts[1].events(1) == []

    async def test_the_debug_door_is_known_inside(self, build: Build, stage: Stage) -> None:
        host = build(debug=True).host()
        await host.hello()
        await host.request(1, "test.play", {"script": "wait"})
        assert (await stage.context(1)).connection.is_debug


class TestLoss:
    async def test_a_host_that_is_gone_is_noticed_by_ping_and_its_work_cancelled(
        self, build: Build, stage: Stage
    ) -> None:
        site = build(ping_seconds=0.05)
        ended = asyncio.Event()

        @stage.script
        async def wait_to_be_cancelled(params: Play, context: RequestContext) -> object:
            try:
                await stage.released.wait()
            finally:
                ended.set()
            return None

        host = site.host()
        await host.hello()
        await host.request(1, "test.play", {"script": "wait_to_be_cancelled"})
        await stage.context(1)
        host.channel.close()
        await asyncio.wait_for(ended.wait(), 10)
        await asyncio.sleep(0)
        assert site.hub.connections == 0
        assert site.hub.active_requests == 0

    async def test_a_host_is_never_dropped_for_not_answering_ping(self, build: Build) -> None:
        site = build(ping_seconds=0)
        host = site.host()
        await host.hello()
        first, _ = await host.receive()
        assert first.k == Kind.PING
        for _ in range(20):
            assert await host.round_trip() == []
        assert site.hub.connections == 1
        await host.send(Header(k=Kind.PONG, n=first.n))
        again, _ = await host.receive()
        assert again.k == Kind.PING
        assert again.n != first.n

    async def test_a_request_to_a_host_that_goes_fails(self, build: Build, stage: Stage) -> None:
        site = build(ping_seconds=0.05)
        host = site.host()
        await host.hello("host.call_tool")
        await host.request(1, "test.play", {"script": "wait"})
        connection = (await stage.context(1)).connection
        background = asyncio.ensure_future(connection.request("host.call_tool", {}))
        assert (await host.receive())[0].m == "host.call_tool"
        host.channel.close()
        with pytest.raises(UpstreamFailed, match="the host is gone"):
            await asyncio.wait_for(background, 10)
        with pytest.raises(Cancelled, match="the connection is over"):
            await connection.request("host.call_tool", {})
        connection.notify("models.changed", {})


class TestShutdown:
    async def test_running_requests_may_end_within_the_grace(
        self, site: Site, host: RawHost, stage: Stage
    ) -> None:
        await host.request(1, "test.play", {"script": "wait"})
        await stage.context(1)
        ending = asyncio.ensure_future(site.hub.shut_down(10))
        await asyncio.sleep(0)
        await host.request(2, "test.play", {"value": 1})
        header, body = await host.receive()
        assert (header.id, body["code"]) == (2, "shutting_down")
        stage.released.set()
        assert (await host.receive())[0] == Header(k=Kind.RESULT, id=1, s=0)
        assert (await bye_of(host))["code"] == "shutting_down"
        await asyncio.wait_for(ending, 5)
        assert site.hub.connections == 0

    async def test_what_runs_after_the_grace_is_cancelled_with_a_terminal(
        self, site: Site, host: RawHost, stage: Stage
    ) -> None:
        for request_id in (1, 2):
            await host.request(request_id, "test.play", {"script": "wait", "stream": True})
            (await stage.context(request_id)).emit(Fact(fact="x"))
        await site.hub.shut_down(0.02)
        for request_id in (1, 2):
            header, body = await host.terminal(request_id)
            assert (header.s, body["code"]) == (1, "shutting_down")
        await bye_of(host)

    async def test_endless_streams_are_not_waited_for(self, site: Site, host: RawHost, stage: Stage) -> None:
        await host.request(1, "engine.logs", {"script": "wait", "stream": True})
        await stage.context(1)
        await asyncio.wait_for(site.hub.shut_down(60), 5)
        assert (await host.terminal(1))[1]["code"] == "shutting_down"

    async def test_a_new_host_is_refused(self, build: Build, stage: Stage) -> None:
        site = build(single_host=False)
        host = site.host()
        await host.hello()
        await host.request(1, "test.play", {"script": "wait"})
        await stage.context(1)
        ending = asyncio.ensure_future(site.hub.shut_down(10))
        await asyncio.sleep(0)
        late = site.host()
        header, body = await late.hello()
        assert (header.k, body["code"]) == (Kind.BYE, "shutting_down")
        stage.released.set()
        await asyncio.wait_for(ending, 5)
