"""The engine for programs without asyncio: the same methods, each waiting for its asynchronous twin.

with SyncEngine.spawn(app_id="my-app") as engine:
    for text in engine.chat.stream(messages=[{"role": "user", "content": "Hello"}]).text():
        print(text, end="")
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, Self, TypeVar, Unpack

from sidecar_client.calls import Parameters
from sidecar_client.engine import DEFAULT_LIVENESS, DEFAULT_RESTART, Engine, Opening
from sidecar_client.host_requests import Handler
from sidecar_client.liveness import Liveness
from sidecar_client.notices import Notice
from sidecar_client.parameters import (
    ChatParameters,
    CountParameters,
    DecodeParameters,
    EncodeParameters,
    GenerateParameters,
)
from sidecar_client.portal import Portal
from sidecar_client.restart import RestartPolicy
from sidecar_client.stream import ChatEvent, ChatStream, GenerateEvent, GenerateStream, Stream, StreamReader
from sidecar_protocol.chat import ChatCompletion
from sidecar_protocol.common import Done, LoadingEvent
from sidecar_protocol.engine import EngineInfo, EngineStats, FrameEvent, LogEvent, LogLevel, Pong
from sidecar_protocol.generate import Generation
from sidecar_protocol.handshake import Welcome
from sidecar_protocol.limits import DEFAULT_CREDIT
from sidecar_protocol.models import ModelList, ModelStatus, ModelStatusList
from sidecar_protocol.tokens import TokensCounted, TokensDecoded, TokensEncoded

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


class SyncEngine:
    """A running engine. Made by `spawn` or `connect`; safe to use from several threads."""

    def __init__(self, opening: Callable[[], Opening]) -> None:
        self._portal = Portal()
        try:
            self._engine = self._portal.run(_open(opening))
        except BaseException:
            self._portal.close()
            raise
        self.chat = SyncChat(self._portal, self._engine)
        self.generate = SyncGenerate(self._portal, self._engine)
        self.tokens = SyncTokens(self._portal, self._engine)
        self.models = SyncModels(self._portal, self._engine)

    @classmethod
    def spawn(
        cls,
        command: Sequence[str] | None = None,
        *,
        app_id: str,
        options: Mapping[str, object] | None = None,
        handshake_timeout: float = 30.0,
        restart: RestartPolicy | None = DEFAULT_RESTART,
        handlers: Mapping[str, Handler] | None = None,
        on_log: Callable[[str], None] | None = None,
        on_notice: Callable[[Notice], None] | None = None,
        liveness: Liveness = DEFAULT_LIVENESS,
        environment: Mapping[str, str] | None = None,
    ) -> "SyncEngine":
        """See Engine.spawn. Handlers and callbacks run in the engine's own thread."""
        return cls(
            lambda: Engine.spawn(
                command,
                app_id=app_id,
                options=options,
                handshake_timeout=handshake_timeout,
                restart=restart,
                handlers=handlers,
                on_log=on_log,
                on_notice=on_notice,
                liveness=liveness,
                environment=environment,
            )
        )

    @classmethod
    def connect(
        cls,
        connection_file: Path | str | None = None,
        *,
        handshake_timeout: float = 10.0,
        handlers: Mapping[str, Handler] | None = None,
        on_notice: Callable[[Notice], None] | None = None,
        liveness: Liveness = DEFAULT_LIVENESS,
    ) -> "SyncEngine":
        """See Engine.connect."""
        return cls(
            lambda: Engine.connect(
                connection_file,
                handshake_timeout=handshake_timeout,
                handlers=handlers,
                on_notice=on_notice,
                liveness=liveness,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def welcome(self) -> Welcome:
        """What the engine said about itself."""
        return self._engine.welcome

    @property
    def pid(self) -> int | None:
        """Process id of an engine of one's own, while it runs."""
        return self._engine.pid

    def close(self, grace_seconds: float = 0.0) -> None:
        """End the engine, or leave one that was connected to."""
        try:
            self._portal.run(self._engine.close(grace_seconds))
        finally:
            self._portal.close()

    def abort(self) -> None:
        """End the engine at once: its process group is killed."""
        try:
            self._portal.run(self._engine.abort())
        finally:
            self._portal.close()

    def call(
        self, method: str, params: Parameters | None = None, *, deadline_seconds: float | None = None
    ) -> object:
        """Call any method; the result as plain objects."""
        return self._portal.run(self._engine.call(method, params, deadline_seconds=deadline_seconds))

    def stream(
        self,
        method: str,
        params: Mapping[str, object] | None = None,
        *,
        credit: int = DEFAULT_CREDIT,
        deadline_seconds: float | None = None,
    ) -> SyncStream[object, object]:
        """Open any stream; events and result as plain objects."""
        return self._stream(
            lambda: self._engine.stream(method, params, credit=credit, deadline_seconds=deadline_seconds)
        )

    def on_notification(self, name: str, sink: Callable[[object], None]) -> Callable[[], None]:
        """Call `sink`, in the engine's own thread, with each notification of that name; returns its end."""
        return self._engine.on_notification(name, sink)

    def info(self) -> EngineInfo:
        """Version, process, folders and what can run models here."""
        return self._portal.run(self._engine.info())

    def stats(self) -> EngineStats:
        """Memory, requests and tokens, for the process and each model."""
        return self._portal.run(self._engine.stats())

    def ping(self) -> Pong:
        """Whether the engine is alive and what it is doing."""
        return self._portal.run(self._engine.ping())

    def logs(self, level: LogLevel = "info") -> SyncStream[LogEvent, Done]:
        """Log records from now on, until the stream is left."""
        return self._stream(lambda: self._engine.logs(level))

    def watch(self) -> SyncStream[FrameEvent, Done]:
        """Every message that crosses the transport, until the stream is left; debug connections only."""
        return self._stream(self._engine.watch)

    def set_log_level(self, level: LogLevel) -> Done:
        """Log more or less from now on."""
        return self._portal.run(self._engine.set_log_level(level))

    def shutdown(self, grace_seconds: float = 0.0) -> Done:
        """End the process in order, also one that was connected to."""
        return self._portal.run(self._engine.shutdown(grace_seconds))

    def _stream(
        self, open_stream: Callable[[], Stream[EventType, ResultType]]
    ) -> SyncStream[EventType, ResultType]:
        return SyncStream(self._portal, self._portal.call(open_stream))


class SyncChat:
    """chat.*: OpenAI chat completions."""

    def __init__(self, portal: Portal, engine: Engine) -> None:
        self._portal = portal
        self._chat = engine.chat

    def create(
        self, *, deadline_seconds: float | None = None, **params: Unpack[ChatParameters]
    ) -> ChatCompletion:
        """Answer a conversation."""
        return self._portal.run(self._chat.create(deadline_seconds=deadline_seconds, **params))

    def stream(
        self,
        *,
        credit: int = DEFAULT_CREDIT,
        deadline_seconds: float | None = None,
        **params: Unpack[ChatParameters],
    ) -> SyncChatStream:
        """Answer a conversation piece by piece."""
        stream = self._portal.call(
            lambda: self._chat.stream(credit=credit, deadline_seconds=deadline_seconds, **params)
        )
        return SyncChatStream(self._portal, stream)


class SyncGenerate:
    """generate.*: raw prompts, without a chat template."""

    def __init__(self, portal: Portal, engine: Engine) -> None:
        self._portal = portal
        self._generate = engine.generate

    def create(
        self, *, deadline_seconds: float | None = None, **params: Unpack[GenerateParameters]
    ) -> Generation:
        """Continue a prompt, given as text or as token ids."""
        return self._portal.run(self._generate.create(deadline_seconds=deadline_seconds, **params))

    def stream(
        self,
        *,
        credit: int = DEFAULT_CREDIT,
        deadline_seconds: float | None = None,
        **params: Unpack[GenerateParameters],
    ) -> SyncGenerateStream:
        """Continue a prompt piece by piece."""
        stream = self._portal.call(
            lambda: self._generate.stream(credit=credit, deadline_seconds=deadline_seconds, **params)
        )
        return SyncGenerateStream(self._portal, stream)


class SyncTokens:
    """tokens.*: text to token ids and back."""

    def __init__(self, portal: Portal, engine: Engine) -> None:
        self._portal = portal
        self._tokens = engine.tokens

    def encode(self, **params: Unpack[EncodeParameters]) -> TokensEncoded:
        """Turn text into token ids."""
        return self._portal.run(self._tokens.encode(**params))

    def decode(self, **params: Unpack[DecodeParameters]) -> TokensDecoded:
        """Turn token ids into text."""
        return self._portal.run(self._tokens.decode(**params))

    def count(self, **params: Unpack[CountParameters]) -> TokensCounted:
        """Count the tokens of a text, or of a conversation as chat.create would send it."""
        return self._portal.run(self._tokens.count(**params))


class SyncModels:
    """models.*: the models on this computer and in memory."""

    def __init__(self, portal: Portal, engine: Engine) -> None:
        self._portal = portal
        self._models = engine.models

    def list(self) -> ModelList:
        """Models found in the host's folders, models.toml and installed packages."""
        return self._portal.run(self._models.list())

    def load(self, model: str, *, deadline_seconds: float | None = None) -> ModelStatus:
        """Bring a model into memory; converts it first when that was never done on this computer."""
        return self._portal.run(self._models.load(model, deadline_seconds=deadline_seconds))

    def load_stream(
        self, model: str, *, credit: int = DEFAULT_CREDIT, deadline_seconds: float | None = None
    ) -> SyncStream[LoadingEvent, ModelStatus]:
        """The same with progress."""
        stream = self._portal.call(
            lambda: self._models.load_stream(model, credit=credit, deadline_seconds=deadline_seconds)
        )
        return SyncStream(self._portal, stream)

    def unload(self, model: str) -> Done:
        """Take a model out of memory; its running requests end as cancelled."""
        return self._portal.run(self._models.unload(model))

    def status(self) -> ModelStatusList:
        """State of every model this process has loaded or tried to."""
        return self._portal.run(self._models.status())


class _Exhausted(Exception):
    """A reader has nothing more to give."""


async def _open(opening: Callable[[], Opening]) -> Engine:
    return await opening()
