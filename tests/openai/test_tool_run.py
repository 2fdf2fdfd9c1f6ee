"""A cancel reaches tools that run, waits for them a moment, and names those that go on."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from sidecar.openai.adapter import OpenAIAdapter
from sidecar.openai.tool_run import ToolInvocation, ToolOutcome
from sidecar.openai.turn_loop import TurnLoop
from sidecar_protocol.chat import ChatChunkEvent
from tests.support.tool_requests import ADD, WAIT, calls_of, request, run_tool


async def cancelled_run(
    adapter: OpenAIAdapter,
    run: Callable[[ToolInvocation], Awaitable[ToolOutcome]],
    said: str,
    started: asyncio.Event,
) -> tuple[TurnLoop, float]:
    """Cancel a loop once its tools run; gives it and the seconds it took to end."""
    loop = adapter.start(request(said, tool_execution="host"), run_tool=run)
    task = asyncio.create_task(loop.run())
    async with asyncio.timeout(10):
        await started.wait()
    task.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    return loop, time.monotonic() - began


async def test_a_cancel_reaches_the_tools(adapter: OpenAIAdapter) -> None:
    started = asyncio.Event()
    ended: list[str] = []

    async def run(call: ToolInvocation) -> ToolOutcome:
        started.set()
        try:
            return await run_tool(call)
        finally:
            ended.append(call.name)

    loop, seconds = await cancelled_run(adapter, run, f"Hm.\n{WAIT}", started)
    assert ended == ["wait"]
    assert loop.unfinished_tools == []
    assert seconds < 0.2
    completion = loop.completion()
    assert completion.choices[0].message.content == "Hm."
    assert calls_of(completion) == [("wait", "{}")]


async def test_a_tool_that_does_not_end_is_named(adapter: OpenAIAdapter) -> None:
    started = asyncio.Event()
    released = asyncio.Event()

    async def run(call: ToolInvocation) -> ToolOutcome:
        started.set()
        waiting = asyncio.create_task(released.wait())
        while call.name == "wait" and not released.is_set():
            try:
                await asyncio.shield(waiting)
            except asyncio.CancelledError:
                continue
        return await run_tool(call)

    loop, seconds = await cancelled_run(adapter, run, f"{WAIT}\n{ADD}", started)
    assert [call.function.name for call in loop.unfinished_tools] == ["wait"]
    assert 0.2 < seconds < 2
    released.set()


async def test_leaving_a_stream_ends_its_tools(adapter: OpenAIAdapter) -> None:
    started, gone = asyncio.Event(), asyncio.Event()

    async def run(call: ToolInvocation) -> ToolOutcome:
        started.set()
        try:
            return await run_tool(call)
        finally:
            gone.set()

    async with aclosing(adapter.chat_completion_stream(request(WAIT, tool_execution="host"), run)) as stream:
        async for event in stream:
            if isinstance(event, ChatChunkEvent) and event.chunk.choices[0].finish_reason:
                await asyncio.wait_for(started.wait(), 10)
                break
    assert gone.is_set()
