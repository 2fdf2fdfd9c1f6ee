"""Streams for programs without asyncio: `for event in stream`, then `stream.result()`."""

from collections.abc import Callable, Iterator
from typing import Generic, Self, TypeVar

from sidecar_client.portal import Portal
from sidecar_client.stream import ChatStream, GenerateStream, Stream, StreamReader
from sidecar_protocol.chat import ChatCompletion, ChatEvent
from sidecar_protocol.generate import GenerateEvent, Generation

EventType = TypeVar("EventType")
ItemType = TypeVar("ItemType")
ResultType = TypeVar("ResultType")


class SyncReader(Iterator[ItemType]):
    """What a `for` loop holds while it reads; leaving the loop cancels an unfinished request."""

    def __init__(self, portal: Portal, open_reader: Callable[[], StreamReader[ItemType]]) -> None:
        self._portal = portal
        self._reader = portal.call(open_reader)

    def __next__(self) -> ItemType:
        try:
            return self._portal.run(self._next())
        except _Exhausted:
            raise StopIteration from None

    async def _next(self) -> ItemType:
        # StopAsyncIteration cannot cross a future.
        try:
            return await self._reader.__anext__()
        except StopAsyncIteration:
            raise _Exhausted from None


class SyncStream(Generic[EventType, ResultType]):
    """A running request: `for event in stream`, then `stream.result()`."""

    def __init__(self, portal: Portal, stream: Stream[EventType, ResultType]) -> None:
        self._portal = portal
        self._stream = stream

    def __iter__(self) -> SyncReader[EventType]:
        """Events as they come. Raises the EngineError that ended the request, after the events before it."""
        return SyncReader(self._portal, self._stream.__aiter__)

    def result(self) -> ResultType:
        """The complete result, also of what was not read. Raises the EngineError that ended the request."""
        return self._portal.run(self._stream.result())

    def cancel(self) -> None:
        """Tell the engine to stop. `result()` then raises Cancelled, with what there was by then."""
        self._portal.call(self._stream.cancel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cancel()


class SyncChatStream(SyncStream[ChatEvent, ChatCompletion]):
    """A chat completion on its way."""

    def __init__(self, portal: Portal, stream: ChatStream) -> None:
        super().__init__(portal, stream)
        self._chat_stream = stream

    def text(self, choice: int = 0) -> SyncReader[str]:
        """Only the text that is added to one choice."""
        return SyncReader(self._portal, lambda: self._chat_stream.text(choice))


class SyncGenerateStream(SyncStream[GenerateEvent, Generation]):
    """A generation on its way."""

    def __init__(self, portal: Portal, stream: GenerateStream) -> None:
        super().__init__(portal, stream)
        self._generate_stream = stream

    def text(self, choice: int = 0) -> SyncReader[str]:
        """Only the text that is added to one choice."""
        return SyncReader(self._portal, lambda: self._generate_stream.text(choice))


class _Exhausted(Exception):
    """A reader has nothing more to give."""
