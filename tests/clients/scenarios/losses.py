"""Engines that die or freeze in the middle, and what comes after them."""

import signal
import time

from tests.clients.runner.client import Client
from tests.clients.scenarios.requests import COMPLETE, completed, endless, text
from tests.clients.scenarios.table import scenario

REPORTED_SECONDS = 1.0
FROZEN_AFTER_MS = 400


@scenario
async def killed_in_the_middle_it_is_reported_within_a_second(client: Client) -> None:
    engine = await client.spawn(restart=False)
    stream = engine.stream(COMPLETE, endless())
    await stream.first("chunk")
    call = engine.call(COMPLETE, endless())
    await engine.ask("engine.ping")
    killed = time.monotonic()
    engine.signal(signal.SIGKILL)
    for request in (stream, call):
        error = await request.error("engine_lost")
        assert (await request.end()).at - killed < REPORTED_SECONDS
        assert error["may_have_executed"] is True
        assert error["exit_status"] == -signal.SIGKILL
        assert any("is ready" in line for line in error["stderr_tail"])
    assert (await engine.notice("lost"))["error"]["exit_status"] == -signal.SIGKILL
    later = await engine.call("engine.info").error("engine_lost")
    assert later["may_have_executed"] is False


@scenario
async def frozen_it_is_noticed_and_goes_on_afterwards(client: Client) -> None:
    liveness = {"ping_every_ms": 200, "frozen_after_ms": FROZEN_AFTER_MS}
    engine = await client.spawn(liveness=liveness)
    stream = engine.stream(COMPLETE, text(150))
    await stream.first("chunk")
    engine.signal(signal.SIGSTOP)
    frozen = await engine.notice("frozen")
    assert frozen["silent_ms"] >= FROZEN_AFTER_MS
    assert stream.ended is None
    engine.signal(signal.SIGCONT)
    await engine.notice("recovered")
    assert completed(await stream.result()) == stream.text
    assert [notice["kind"] for notice in engine.notices] == ["frozen", "recovered"]


@scenario
async def after_a_crash_it_is_started_again_and_nothing_is_sent_twice(client: Client) -> None:
    engine = await client.spawn()
    running = engine.stream(COMPLETE, endless())
    await running.first("chunk")
    first = engine.process.pid
    engine.signal(signal.SIGKILL)
    await engine.notice("lost")
    between = engine.call("engine.info")
    assert (await running.error("engine_lost"))["may_have_executed"] is True
    restarted = await engine.notice("restarted")
    assert first != restarted["pid"] == (await between.result())["pid"]
    assert (await engine.settled())["models"] == []
    assert completed(await engine.ask(COMPLETE, text(4)))
    assert [notice["kind"] for notice in engine.notices] == ["lost", "restarted"]


@scenario
async def crashing_too_often_it_is_given_up(client: Client) -> None:
    engine = await client.spawn(restart={"max_restarts": 1, "within_ms": 60_000})
    engine.signal(signal.SIGKILL)
    await engine.notice("restarted")
    engine.signal(signal.SIGKILL)
    gave_up = await engine.notice("gave_up")
    assert gave_up["error"]["code"] == "engine_lost"
    error = await engine.call("engine.info").error("engine_lost")
    assert error["may_have_executed"] is False
    assert "restart" in error["message"]
    assert [notice["kind"] for notice in engine.notices] == ["lost", "restarted", "lost", "gave_up"]
