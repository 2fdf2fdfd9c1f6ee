"""Readers that stop: their own text stays whole or ends with an error, and nobody else notices."""

from tests.clients.runner.client import Client
from tests.clients.scenarios.requests import COMPLETE, completed, endless, text
from tests.clients.scenarios.table import scenario

HELD_BYTES = 256 * 2**10
GROWTH_BYTES = 32 * 2**20
GAPS = 100


@scenario
async def a_reader_that_pauses_loses_nothing(client: Client) -> None:
    engine = client.shared
    slow = engine.stream(COMPLETE, text(240), credit=4, read=3)
    await slow.event(2)
    quick = engine.stream(COMPLETE, text(40))
    assert completed(await quick.result()) == quick.text
    await engine.settled()
    assert len(slow.events) == 3
    assert slow.ended is None
    slow.read()
    assert completed(await slow.result()) == slow.text
    assert sum(len(event.get("token_ids", ())) for event in slow.events) == 240
    assert len(slow.events) < 20


@scenario
async def a_stalled_stream_slows_nobody_down(client: Client) -> None:
    async def gap_beside(read: str | int) -> float:
        """Seconds from token to token of a stream beside one of which so much is read."""
        neighbour = client.shared.stream(COMPLETE, endless(), credit=4, read=read)
        await neighbour.event(2)
        stream = client.shared.stream(COMPLETE, text(GAPS + 1), credit=256)
        await stream.result()
        await neighbour.leave()
        return (stream.times[-1] - stream.times[0]) / GAPS

    beside_reader = await gap_beside("all")
    assert await gap_beside(3) < 1.5 * beside_reader + 0.001


@scenario
async def a_reader_too_far_behind_loses_its_stream_alone(client: Client) -> None:
    engine = client.shared
    processes = (engine.process, client.driver.process)
    before = [process.memory_info().rss for process in processes]
    params = text(1_000, n=4, logprobs=True, top_logprobs=20)
    stalled = [engine.stream(COMPLETE, params, credit=4, read=3) for _ in range(3)]
    quick = engine.stream(COMPLETE, text(60))
    assert completed(await quick.result()) == quick.text
    await engine.settled()
    for process, resident in zip(processes, before, strict=True):
        assert process.memory_info().rss - resident < GROWTH_BYTES
    for stream in stalled:
        assert len(stream.events) == 3
        stream.read()
        error = await stream.error("slow_consumer")
        assert str(HELD_BYTES) in error["message"]
        assert 20 < sum(len(event.get("token_ids", ())) for event in stream.events) < 4_000
