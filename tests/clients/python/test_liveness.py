"""When a client pings, and when it calls an engine frozen."""

import asyncio

from sidecar_client import EngineFrozen, EngineThawed, Liveness
from sidecar_client.liveness import PingWatch
from sidecar_client.notices import Notice
from sidecar_protocol.envelope import Kind
from tests.clients.python.conftest import Attach
from tests.support.fake_engine import FakeEngine

LIVENESS = Liveness(ping_seconds=4, frozen_seconds=8)


class Watched:
    def __init__(self) -> None:
        self.pings: list[int] = []
        self.watch = PingWatch(LIVENESS, self.pings.append, now=0)

    def run(self, start: int, end: int, *, pending: bool = True) -> list[float]:
        silences = [self.watch.tick(now, pending=pending) for now in range(start, end)]
        return [silence for silence in silences if silence is not None]


def test_silence_with_something_pending_brings_one_ping() -> None:
    watched = Watched()
    watched.run(1, 8)
    assert watched.pings == [1]


def test_no_ping_while_nothing_is_pending_or_messages_come() -> None:
    watched = Watched()
    watched.run(1, 20, pending=False)
    for now in range(20, 40):
        watched.watch.heard(now)
        watched.watch.tick(now, pending=True)
    assert watched.pings == []


def test_an_unanswered_ping_is_reported_once() -> None:
    watched = Watched()
    assert watched.run(1, 60) == [8]


def test_an_answer_ends_the_freeze_and_the_next_is_reported_again() -> None:
    watched = Watched()
    assert watched.run(1, 20) == [8]
    assert watched.watch.heard(20)
    assert not watched.watch.heard(20)
    assert watched.run(21, 60) == [8]


def test_time_in_which_this_process_stood_still_does_not_count() -> None:
    watched = Watched()
    watched.run(1, 6)
    assert watched.pings == [1]
    assert watched.run(1000, 1008) == []
    assert watched.pings == [1, 2]


async def test_a_frozen_engine_is_reported_and_requests_stay_pending(attach: Attach) -> None:
    notices: asyncio.Queue[Notice] = asyncio.Queue()
    async with FakeEngine(answers_pings=False) as fake:
        engine = await attach(
            fake,
            liveness=Liveness(ping_seconds=0.1, frozen_seconds=0.2),
            on_notice=notices.put_nowait,
        )
        call = asyncio.ensure_future(engine.tokens.encode(text="a"))
        header, _ = await fake.next(Kind.REQUEST)
        async with asyncio.timeout(10):
            frozen = await notices.get()
        assert isinstance(frozen, EngineFrozen)
        assert frozen.silent_seconds >= 0.2
        await fake.send(Kind.RESULT, {"token_ids": []}, id=header.id, s=0)
        assert (await call).token_ids == []
        assert await notices.get() == EngineThawed()
        await engine.close()
