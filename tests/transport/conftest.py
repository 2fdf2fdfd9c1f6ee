"""Scripted methods behind a hub, and hosts for it over both transports."""

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
import zmq

from sidecar.service.dispatcher import Dispatcher
from sidecar.transport.frame_tap import FrameTap
from sidecar.transport.hub import Hub
from sidecar.transport.memory import MemoryHost
from sidecar.transport.terms import Terms
from sidecar.transport.zeromq import ZeroMQServer
from sidecar_protocol.limits import LIMITS, Limits
from sidecar_protocol.methods import METHODS
from sidecar_protocol.registry import Method
from tests.support.raw_host import MemoryChannel, RawHost, ZeroMQChannel
from tests.support.site import Build, Site
from tests.support.stage import Answer, Fact, Play, Progress, Stage, Text


@pytest.fixture
def methods(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Text | Progress | Fact
    play = Method(name="test.play", params=Play, result=Answer, event_union=events)
    monkeypatch.setitem(METHODS, "test.play", play)
    for name in ("engine.watch", "engine.logs"):
        endless = msgspec.structs.replace(
            METHODS[name], params=Play, result=Answer, event_union=events, debug_only=False
        )
        monkeypatch.setitem(METHODS, name, endless)


@pytest.fixture
def stage(methods: None) -> Stage:
    return Stage()


@pytest.fixture(params=["memory", "zeromq"])
async def build(request: pytest.FixtureRequest, stage: Stage) -> AsyncIterator[Build]:
    """Makes a site over the transport of this run of the test."""
    sites: list[Site] = []
    channels: list[MemoryChannel | ZeroMQChannel] = []

    def make(
        *,
        limits: Limits = LIMITS,
        debug: bool = False,
        single_host: bool = True,
        ping_seconds: float = 5.0,
        welcomed: Callable[[], None] | None = None,
        **server_options: int,
    ) -> Site:
        handlers = dict.fromkeys(("test.play", "engine.watch", "engine.logs"), stage.play)
        tap = FrameTap()
        terms = Terms(
            dispatcher=Dispatcher(handlers, capabilities=["tools"]),
            boot_id="boot",
            version="1.2.3",
            limits=limits,
            debug=debug,
            frame_tap=tap,
        )
        hub = Hub(terms, single_host=single_host, ping_seconds=ping_seconds, welcomed=welcomed)
        if request.param == "memory":
            hub.start()

            def memory_host() -> RawHost:
                channels.append(MemoryChannel(MemoryHost(hub)))
                return RawHost(channels[-1])

            sites.append(Site(hub, stage, tap, memory_host))
        else:
            sites.append(serve_zeromq(hub, stage, tap, channels, **server_options))
        return sites[-1]

    yield make
    for channel in channels:
        channel.close()
    for site in sites:
        await site.hub.shut_down(0)
        if site.server is not None:
            await site.server.close()


def serve_zeromq(
    hub: Hub,
    stage: Stage,
    tap: FrameTap,
    channels: list[MemoryChannel | ZeroMQChannel],
    **server_options: int,
) -> Site:
    """A site behind a real socket; every host has the one admitted key unless told otherwise."""
    keys = zmq.curve_keypair()
    server = ZeroMQServer(hub, client_key=keys[0].decode(), **server_options)
    server.start()

    def host(**options: object) -> RawHost:
        chosen = {"keys": keys, "server_key": server.server_key, **options}
        channel = ZeroMQChannel(server.endpoint, **chosen)
        channels.append(channel)
        return RawHost(channel)

    return Site(hub, stage, tap, host, server, keys)


@pytest.fixture
async def site(build: Build) -> Site:
    return build()


@pytest.fixture
async def host(site: Site) -> RawHost:
    """A host that has been welcomed."""
    raw = site.host()
    header, body = await raw.hello("host.call_tool")
    assert header.k == "welcome", body
    return raw
