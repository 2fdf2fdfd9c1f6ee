"""Requests that are left: unsent, in the queue, while loading, in the prompt, in the answer, and too late."""

import asyncio
import signal

from tests.clients.runner.client import Client
from tests.clients.runner.engine import Engine
from tests.clients.runner.process import DEADLINE_SECONDS
from tests.clients.scenarios.requests import (
    CHAT,
    COMPLETE,
    chat,
    completed,
    content,
    endless,
    long_prompt,
    text,
)
from tests.clients.scenarios.table import scenario

RUNNING_AT_ONCE = 32
STORM = 60


async def counters(engine: Engine) -> dict[str, int]:
    """What the shared model has done and does."""
    stats = await engine.ask("engine.stats")
    counted: dict[str, int] = stats["models"][0]
    return counted


@scenario
async def before_it_is_sent(client: Client) -> None:
    engine = await client.spawn()
    engine.signal(signal.SIGKILL)
    await engine.notice("lost")
    waiting = engine.stream(CHAT, chat("Hello"))
    await waiting.leave()
    await engine.notice("restarted")
    assert (await engine.ask("models.status"))["models"] == []
    await engine.settled()


@scenario
async def in_the_queue(client: Client) -> None:
    engine = client.shared
    running = [engine.stream(COMPLETE, endless()) for _ in range(RUNNING_AT_ONCE)]
    for request in running:
        await request.first("chunk")
    waiting = engine.stream(COMPLETE, endless())
    assert (await waiting.first("queued"))["position"] == 0
    assert (await counters(engine))["waiting"] == 1
    await waiting.leave()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (now := await counters(engine))["waiting"]:
            pass
    assert now["running"] == RUNNING_AT_ONCE
    for request in running:
        await request.leave()
    await engine.settled()


@scenario
async def while_the_model_loads(client: Client) -> None:
    engine = await client.spawn()
    loading = engine.stream(CHAT, chat("Hello"))
    await loading.first("loading")
    await loading.leave()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (await engine.ask("models.status"))["models"]:
            pass
    assert content(await engine.ask(CHAT, chat("Hello", max_tokens=4)))


@scenario
async def while_the_prompt_is_read(client: Client) -> None:
    engine = client.shared
    before = await counters(engine)
    prompt = long_prompt(6_000)
    reading = engine.stream(COMPLETE, {"prompt": prompt, "max_tokens": 4})
    progress = await reading.first("prefill")
    assert progress["done"] < progress["total"] == len(prompt)
    await reading.leave()
    await engine.settled()
    assert (await counters(engine))["prompt_tokens"] - before["prompt_tokens"] < len(prompt)


@scenario
async def in_the_middle_of_an_answer(client: Client) -> None:
    engine = client.shared
    stream = engine.stream(COMPLETE, endless())
    await stream.event(3)
    await stream.leave()
    await engine.settled()
    call = engine.call(COMPLETE, endless())
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not (await counters(engine))["running"]:
            pass
    await call.leave()
    await engine.settled()


@scenario
async def after_the_end(client: Client) -> None:
    engine = client.shared
    for request in (engine.stream(COMPLETE, text(4)), engine.call(COMPLETE, text(4))):
        await request.result()
        await request.leave()
    assert completed(await engine.ask(COMPLETE, text(4)))
    assert engine.notifications == []


@scenario
async def all_at_once_and_at_once(client: Client) -> None:
    engine = client.shared
    expected = completed(await engine.ask(COMPLETE, text(16)))
    storm = [
        engine.stream(COMPLETE, endless(prompt=f"Letter {number}. My dear friend,"))
        if number % 2
        else engine.call(COMPLETE, endless())
        for number in range(STORM)
    ]
    survivor = engine.stream(COMPLETE, text(16))
    for request in storm:
        request.cancel()
    for request in storm:
        await request.left()
    assert completed(await survivor.result()) == survivor.text == expected
    await engine.settled()
