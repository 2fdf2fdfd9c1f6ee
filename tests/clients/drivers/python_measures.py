"""What drivers measure of their client: round trips, streams, and whether it leaves the main loop free."""

import asyncio
import time

from python_said import Fields

from sidecar_client import Engine, Stream


async def measure_pings(engine: Engine, given: Fields) -> Fields:
    """Round trips of typed calls, one after another."""
    microseconds = []
    for _ in range(given["count"]):
        began = time.perf_counter()
        await engine.ping()
        microseconds.append((time.perf_counter() - began) * 1e6)
    return {"microseconds": microseconds}


async def measure_streams(engine: Engine, given: Fields) -> Fields:
    """Typed streams side by side, each read to its end."""
    namespace, verb = given["method"].split(".")
    if (namespace, verb) not in {("generate", "create"), ("chat", "create")}:
        raise ValueError(f"{given['method']} is not measured")
    began, processor = time.perf_counter(), time.process_time()
    streams = [getattr(engine, namespace).stream(**given["params"]) for _ in range(given["streams"])]
    read = await asyncio.gather(*(_read(stream, began) for stream in streams))
    return {
        "events": sum(events for events, _, _ in read),
        "characters": sum(characters for _, characters, _ in read),
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - processor,
        "first_event_seconds": [first for _, _, first in read],
    }


async def measure_timer(given: Fields) -> Fields:
    """A periodic timer on the loop; what comes more than one period late is missed."""
    period = 1 / given["hertz"]
    loop = asyncio.get_running_loop()
    began = loop.time()
    ticks = missed = 0
    while (due := began + (ticks + 1) * period) <= began + given["seconds"]:
        await asyncio.sleep(due - loop.time())
        ticks += 1
        missed += loop.time() - due > period
    return {"ticks": ticks, "missed": missed}


async def _read(stream: Stream[object, object], began: float) -> tuple[int, int, float]:
    """Events, characters, and seconds until the first event."""
    events = characters = 0
    first = 0.0
    async for event in stream:
        first = first or time.perf_counter() - began
        events += 1
        characters += _characters(event)
    return events, characters, first


def _characters(event: object) -> int:
    if (text := getattr(event, "text", None)) is not None:
        return len(text)
    if (chunk := getattr(event, "chunk", None)) is not None:
        return sum(len(choice.delta.content or "") for choice in chunk.choices)
    return 0
