"""A request that streams: `async for event in stream`, then `await stream.result()`.

Leaving the loop in any way, by break, an exception, a cancelled task or by
dropping the stream, cancels the request.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Generic, Self, TypeVar

from sidecar_client.request import Request
from sidecar_protocol.chat import ChatChunkEvent, ChatCompletion, ChatEvent
from sidecar_protocol.generate import GenerateChunkEvent, GenerateEvent, Generation

EventType = TypeVar("EventType")
ItemType = TypeVar("ItemType")
ResultType = TypeVar("ResultType")


class StreamReader(AsyncIterator[ItemType]):
    """What `async for` holds while it reads; when it lets go, an unfinished request is cancelled."""

    def __init__(self, request: Request, pick: Callable[[object], ItemType | None], stream: object) -> None:
        self._request = request
        self._pick = pick
        # `async for event in engine.chat.stream(…)` holds nothing but this reader.
        self._stream = stream
        request.open_reader()

    async def __anext__(self) -> ItemType:
        while True:
            try:
                event = await self._request.next_event()
            except asyncio.CancelledError:
                self._request.cancel()
                raise
            item = self._pick(event)
            if item is not None:
                return item

    def __del__(self) -> None:
        self._request.abandon()


class Stream(AsyncIterable[EventType], Generic[EventType, ResultType]):
    """A running request. Events are read once, by one reader."""

    def __init__(
        self,
        request: Request,
        read_event: Callable[[object], EventType | None],
        read_result: Callable[[object], ResultType],
    ) -> None:
        self._request = request
        self._read_event = read_event
        self._read_result = read_result

    def __aiter__(self) -> StreamReader[EventType]:
        """Events as they come. Raises the EngineError that ended the request, after the events before it."""
        return StreamReader(self._request, self._read_event, self)

    async def result(self) -> ResultType:
        """The complete result, also of what was not read. Raises the EngineError that ended the request."""
        try:
            return self._read_result(await self._request.result())
        except asyncio.CancelledError:
            self._request.cancel()
            raise

    def cancel(self) -> None:
        """Tell the engine to stop. `result()` then raises Cancelled, with what there was by then."""
        self._request.cancel()

    async def aclose(self) -> None:
        """The same as `cancel`, in the form that contextlib.aclosing wants."""
        self._request.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._request.cancel()

    def __del__(self) -> None:
        self._request.abandon()


class ChatStream(Stream[ChatEvent, ChatCompletion]):
    """A chat completion on its way."""

    def text(self, choice: int = 0) -> StreamReader[str]:
        """Only the text that is added to one choice."""

        def pick(event: object) -> str | None:
            typed = self._read_event(event)
            if not isinstance(typed, ChatChunkEvent):
                return None
            added = [item.delta.content for item in typed.chunk.choices if item.index == choice]
            return "".join(text for text in added if text is not None) or None

        return StreamReader(self._request, pick, self)


class GenerateStream(Stream[GenerateEvent, Generation]):
    """A generation on its way."""

    def text(self, choice: int = 0) -> StreamReader[str]:
        """Only the text that is added to one choice."""

        def pick(event: object) -> str | None:
            typed = self._read_event(event)
            if not isinstance(typed, GenerateChunkEvent) or typed.choice != choice:
                return None
            return typed.text or None

        return StreamReader(self._request, pick, self)
