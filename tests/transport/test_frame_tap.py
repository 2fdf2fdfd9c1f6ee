"""Watching the transport without being seen, and without seeing secrets."""

import pytest

from sidecar.service.context import RequestContext
from sidecar.transport.frame_tap import shorten
from sidecar_protocol.codec import encode_body
from sidecar_protocol.engine import FrameEvent
from sidecar_protocol.envelope import Header, Kind
from tests.support.raw_host import RawHost
from tests.support.site import Site
from tests.support.stage import Fact, Play, Stage

Frame = dict[str, object]


@pytest.fixture
def frames(site: Site) -> list[Frame]:
    seen: list[Frame] = []
    site.tap.add(lambda frame: seen.append(dict(frame)))
    return seen


def outline(frames: list[Frame]) -> list[tuple[object, object]]:
    return [(frame["direction"], frame["header"]["k"]) for frame in frames]


async def test_every_message_is_shown_with_its_body(frames: list[Frame], host: RawHost) -> None:
    frames.clear()
    await host.request(1, "test.play", {"value": "hi"})
    await host.terminal(1)
    assert outline(frames) == [("in", "req"), ("out", "res")]
    shown = frames[0]
    assert shown["header"] == {"k": "req", "id": 1, "m": "test.play"}
    assert shown["body"] == {"value": "hi"}
    assert shown["body_bytes"] == len(b"\x81\xa5value\xa2hi")
    assert frames[1]["body"] == {"answer": "hi"}


async def test_the_handshake_is_shown_too(site: Site, frames: list[Frame]) -> None:
    await site.host().hello()
    assert outline(frames) == [("in", "hello"), ("out", "welcome")]


async def test_nothing_is_shown_once_stopped(site: Site, host: RawHost) -> None:
    seen: list[object] = []
    stop = site.tap.add(seen.append)
    await host.round_trip()
    count = len(seen)
    assert count == 2
    stop()
    stop()
    await host.round_trip()
    assert len(seen) == count
    assert not site.tap.active


async def test_a_watch_stream_does_not_feed_itself(site: Site, host: RawHost, stage: Stage) -> None:
    @stage.script
    async def watch(params: Play, context: RequestContext) -> object:
        stop = site.tap.add(lambda frame: context.emit(Fact(fact=str(frame["header"]))))
        try:
            await stage.released.wait()
        finally:
            stop()
        return None

    for request_id in (1, 2):
        await host.request(request_id, "engine.watch", {"script": "watch", "stream": True}, credit=100)
        await stage.context(request_id)
    await host.request(3, "test.play", {"script": "wait", "stream": True})
    (await stage.context(3)).emit(Fact(fact="seen"))
    for _ in range(3):
        await host.credit(1, 1)
        await host.round_trip()
    stage.released.set()
    await host.terminal(3)
    await host.round_trip()
    for request_id in (1, 2):
        shown = [str(event["fact"]) for event in host.events(request_id)]
        kinds = [header.split("'")[3] for header in shown]
        assert kinds.count("evts") == 1
        assert kinds.count("credit") == 0
        assert sorted(set(kinds)) == ["evts", "ping", "pong", "req"]


async def test_long_bodies_are_cut_and_secrets_hidden(frames: list[Frame], host: RawHost) -> None:
    frames.clear()
    secret = "s3cret-value"
    value = {
        "authorization": secret,
        "nested": [{"API_KEY": secret, "headers": {"x": secret}}],
        "long": "x" * 10_000,
        "list": list(range(1000)),
        "blob": b"\0" * 500,
    }
    await host.request(1, "test.play", {"value": value})
    await host.terminal(1)
    assert secret not in str(frames)
    assert len(str(frames)) < 3000
    body = frames[0]["body"]["value"]
    assert body["long"].endswith("(10000 characters)")
    assert body["list"][-1] == "… 968 more"
    assert body["blob"] == "(500 bytes)"
    frames.clear()
    await host.request(2, "test.play", {"value": "x" * 100_000})
    await host.terminal(2)
    assert [frame["body"] for frame in frames] == [f"({frame['body_bytes']} bytes)" for frame in frames]
    assert all(frame["body_bytes"] > 100_000 for frame in frames)


async def test_what_the_keychain_holds_is_never_shown(site: Site, frames: list[Frame], stage: Stage) -> None:
    host = site.host()
    await host.hello("host.secret")

    @stage.script
    async def ask(params: Play, context: RequestContext) -> object:
        answer = await context.connection.request("host.secret", {"op": "set", "value": "hunter2"})
        return answer == {"value": "hunter3"}

    await host.request(1, "test.play", {"script": "ask"})
    await host.receive()
    await host.send(Header(k=Kind.RESULT, id=1), {"value": "hunter3"})
    assert (await host.terminal(1))[1] == {"answer": True}
    assert "hunter" not in str(frames)
    assert ("out", "req") in outline(frames)


async def test_an_unreadable_body_is_shown_as_such(frames: list[Frame], host: RawHost) -> None:
    frames.clear()
    await host.send_frames(b"\x83\xa1k\xa3req\xa2id\x01\xa1m\xa9test.play", b"\xc1")
    await host.terminal(1)
    assert "unreadable" in str(frames[0]["body"])


def test_wide_maps_are_cut() -> None:
    shown = shorten({str(number): number for number in range(100)})
    assert len(shown) == 33
    assert shown["…"] == "68 more"


@pytest.mark.parametrize(
    "entry", [b"\x90", b"\x91\x90", b"\x91\x80", b"\x91\xc0", b"\x91\xa1x", b"\x07", b"\x80"]
)
async def test_events_that_a_host_makes_up_are_shown_too(
    frames: list[Frame], host: RawHost, entry: bytes
) -> None:
    frames.clear()
    await host.send_frames(b"\x81\xa1k\xa4evts", b"\x91" + entry)
    assert await host.round_trip() == []
    assert outline(frames) == [("in", "evts"), ("in", "ping"), ("out", "pong")]


def test_deep_bodies_are_cut_so_that_an_event_can_hold_them() -> None:
    value: object = "bottom"
    for level in range(64):
        value = [value] if level % 2 else {"deeper": value}
    shown = shorten(value)
    assert "bottom" not in str(shown)
    assert "…" in str(shown)
    frame = FrameEvent(
        direction="in", connection="c1", time=0.5, header={"k": "req"}, body=shown, body_bytes=1
    )
    encode_body([[1, 0, frame]])
