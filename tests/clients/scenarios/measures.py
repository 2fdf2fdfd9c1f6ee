"""What drivers measure of their clients, for the benchmarks."""

from tests.clients.runner.client import Client
from tests.clients.scenarios.requests import COMPLETE, text
from tests.clients.scenarios.table import scenario


@scenario
async def pings_are_measured_one_by_one(client: Client) -> None:
    measured = await client.measure("pings", client.shared, count=20)
    assert len(measured["microseconds"]) == 20
    assert min(measured["microseconds"]) > 1


@scenario
async def streams_are_measured_together(client: Client) -> None:
    params = text(8)
    whole = await client.shared.ask(COMPLETE, params)
    measured = await client.measure("streams", client.shared, streams=4, method=COMPLETE, params=params)
    assert measured["events"] >= 4 * 8
    assert measured["characters"] == 4 * len(whole["choices"][0]["text"])
    assert len(measured["first_event_seconds"]) == 4
    assert 0 < max(measured["first_event_seconds"]) < measured["seconds"]
    assert measured["processor_seconds"] > 0


@scenario
async def a_timer_is_kept_beside_streams(client: Client) -> None:
    stream = client.shared.stream(COMPLETE, text(40))
    measured = await client.measure("timer", hertz=50, seconds=0.4)
    assert 18 <= measured["ticks"] <= 20
    assert 0 <= measured["missed"] <= measured["ticks"]
    await stream.result()
