"""Engines that end in order, at once, or with the program they serve."""

import time

from tests.clients.runner.client import Client
from tests.clients.scenarios.requests import CHAT, COMPLETE, chat, completed, endless, text
from tests.clients.scenarios.table import scenario
from tests.clients.scenarios.tools import TOOLS, scripted, tell

AT_ONCE_SECONDS = 1.0


@scenario
async def closed_with_grace_it_finishes_what_runs(client: Client) -> None:
    engine = await client.spawn()
    stream = engine.stream(COMPLETE, text(150))
    await stream.first("chunk")
    await engine.close(grace_ms=20_000)
    assert completed(await stream.result()) == stream.text
    assert engine.notices == []


@scenario
async def closed_without_grace_it_says_so_to_what_runs(client: Client) -> None:
    engine = await client.spawn()
    stream = engine.stream(COMPLETE, endless())
    await stream.first("chunk")
    await engine.close()
    error = await stream.error("shutting_down")
    assert completed(error["data"]["partial"]) == stream.text != ""
    later = await engine.call("engine.info").error("engine_lost")
    assert later["may_have_executed"] is False


@scenario
async def aborted_it_is_gone_at_once(client: Client) -> None:
    engine = await client.spawn()
    stream = engine.stream(COMPLETE, endless())
    await stream.first("chunk")
    began = time.monotonic()
    await engine.abort()
    assert time.monotonic() - began < AT_ONCE_SECONDS
    assert (await stream.error("engine_lost"))["may_have_executed"] is True
    assert engine.notices == []


@scenario
async def a_program_that_ends_takes_it_along(client: Client) -> None:
    async with client.another() as other:
        engine = await other.spawn()
        await engine.stream(COMPLETE, endless()).first("chunk")


@scenario
async def a_program_killed_while_it_starts_leaves_nothing(client: Client) -> None:
    async with client.another() as other:
        other.begin_spawning()
        await other.driver.child()
        await other.driver.kill_and_look()


@scenario
async def a_program_killed_while_the_model_loads_leaves_nothing(client: Client) -> None:
    async with client.another() as other:
        engine = await other.spawn()
        await engine.stream(CHAT, chat("Hello")).first("loading")
        await other.driver.kill_and_look()


@scenario
async def a_program_killed_in_the_middle_leaves_nothing(client: Client) -> None:
    async with client.another() as other:
        engine = await other.spawn()
        await engine.stream(COMPLETE, endless()).first("chunk")
        await other.driver.kill_and_look()


@scenario
async def a_program_killed_in_a_tool_leaves_nothing(client: Client) -> None:
    async with client.another() as other:
        engine = await scripted(other, tools=TOOLS)
        engine.call(CHAT, tell("call wait {}"))
        await other.question()
        await other.driver.kill_and_look()
