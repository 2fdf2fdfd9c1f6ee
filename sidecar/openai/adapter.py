"""OpenAIAdapter: chat completions as a library, on whatever backend runs them."""

import asyncio
from collections.abc import AsyncIterator

from sidecar.openai.backend import ChatBackend
from sidecar.openai.chat_turn import ChatEvent, ChatEventSink, ChatTurn
from sidecar_protocol.chat import ChatCompletion, ChatCreate


class OpenAIAdapter:
    """Chat completions in OpenAI's terms.

    Every call raises the errors of `sidecar.errors`; cancelling the awaiting
    task, or leaving the stream, cancels the generation.
    """

    def __init__(self, backend: ChatBackend) -> None:
        self._backend = backend

    async def chat_completion(self, request: ChatCreate) -> ChatCompletion:
        """The whole completion."""
        turn = self.start_turn(request)
        await self.run_turn(request, turn)
        return turn.completion()

    async def chat_completion_stream(self, request: ChatCreate) -> AsyncIterator[ChatEvent]:
        """Events as they come: waiting, loading, prompt progress, overflow, and chunks of text."""
        events: asyncio.Queue[ChatEvent | None] = asyncio.Queue()
        turn = self.start_turn(request, events.put_nowait)
        task = asyncio.create_task(self.run_turn(request, turn))
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

    def start_turn(self, request: ChatCreate, sink: ChatEventSink | None = None) -> ChatTurn:
        """An answer to be made; its `completion()` says at any time what there is of it."""
        return ChatTurn(request, sink)

    async def run_turn(self, request: ChatCreate, turn: ChatTurn) -> None:
        """Make the answer."""
        await self._backend.run(request, turn)
