"""OpenAIAdapter: chat completions as a library, on whatever backend runs them."""

import asyncio
from collections.abc import AsyncIterator

import msgspec

from sidecar.openai.backend import ChatBackend
from sidecar.openai.chat_turn import ChatEventSink
from sidecar.openai.tool_run import ToolRunner
from sidecar.openai.turn_loop import TurnLoop
from sidecar_protocol.chat import ChatCompletion, ChatCreate, ChatEvent


class OpenAIAdapter:
    """Chat completions in OpenAI's terms.

    Every call raises the errors of `sidecar.errors`; cancelling the awaiting
    task, or leaving the stream, cancels the generation.
    """

    def __init__(self, backend: ChatBackend) -> None:
        self._backend = backend

    async def chat_completion(self, request: ChatCreate) -> ChatCompletion:
        """The whole completion."""
        loop = self.start(request)
        await loop.run()
        return loop.completion()

    async def chat_completion_with_tools(self, request: ChatCreate, run_tool: ToolRunner) -> ChatCompletion:
        """The completion after `run_tool` has run what the model called, round after round."""
        loop = self.start(msgspec.structs.replace(request, tool_execution="host"), run_tool=run_tool)
        await loop.run()
        return loop.completion()

    async def chat_completion_stream(
        self, request: ChatCreate, run_tool: ToolRunner | None = None
    ) -> AsyncIterator[ChatEvent]:
        """Events as they come: waiting, loading, overflow, chunks of text and calls, tool results."""
        events: asyncio.Queue[ChatEvent | None] = asyncio.Queue()
        task = asyncio.create_task(self.start(request, events.put_nowait, run_tool).run())
        task.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            await task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def count_tokens(self, request: ChatCreate) -> tuple[int, int]:
        """Prompt tokens of the request as it stands, and the model's context length."""
        return await self._backend.count_tokens(request)

    def start(
        self, request: ChatCreate, sink: ChatEventSink | None = None, run_tool: ToolRunner | None = None
    ) -> TurnLoop:
        """A completion to be made by its `run`; `sink` hears of it as it comes."""
        return TurnLoop(self._backend, request, sink, run_tool)
