"""The engine for programs without asyncio: the same methods, each waiting for its asynchronous twin.

with SyncEngine.spawn(app_id="my-app") as engine:
    for text in engine.chat.stream(messages=[{"role": "user", "content": "Hello"}]).text():
        print(text, end="")
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

from sidecar_client.calls import Parameters
from sidecar_client.engine import DEFAULT_LIVENESS, DEFAULT_RESTART, Engine, Opening
from sidecar_client.host_handlers import HostHandlers
from sidecar_client.liveness import Liveness
from sidecar_client.notices import Notice
from sidecar_client.portal import Portal
from sidecar_client.restart import RestartPolicy
from sidecar_client.stream import Stream
from sidecar_client.sync_namespaces import SyncNamespaces
from sidecar_client.sync_stream import SyncStream
from sidecar_protocol.common import Done
from sidecar_protocol.engine import EngineInfo, EngineStats, FrameEvent, LogEvent, LogLevel, Pong
from sidecar_protocol.handshake import Welcome
from sidecar_protocol.limits import DEFAULT_CREDIT

EventType = TypeVar("EventType")
ResultType = TypeVar("ResultType")


class SyncEngine(SyncNamespaces):
    """A running engine. Made by `spawn` or `connect`; safe to use from several threads."""

    def __init__(self, opening: Callable[[], Opening]) -> None:
        self._portal = Portal()
        try:
            self._engine = self._portal.run(_open(opening))
        except BaseException:
            self._portal.close()
            raise
        super().__init__(self._portal, self._engine)

    @classmethod
    def spawn(
        cls,
        command: Sequence[str] | None = None,
        *,
        app_id: str,
        options: Mapping[str, object] | None = None,
        handshake_timeout: float = 30.0,
        restart: RestartPolicy | None = DEFAULT_RESTART,
        handlers: HostHandlers | None = None,
        on_log: Callable[[str], None] | None = None,
        on_notice: Callable[[Notice], None] | None = None,
        on_notification: Callable[[str, object], None] | None = None,
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
                on_notification=on_notification,
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
        handlers: HostHandlers | None = None,
        on_notice: Callable[[Notice], None] | None = None,
        on_notification: Callable[[str, object], None] | None = None,
        liveness: Liveness = DEFAULT_LIVENESS,
    ) -> "SyncEngine":
        """See Engine.connect."""
        return cls(
            lambda: Engine.connect(
                connection_file,
                handshake_timeout=handshake_timeout,
                handlers=handlers,
                on_notice=on_notice,
                on_notification=on_notification,
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
        self,
        method: str,
        params: Parameters | None = None,
        *,
        deadline_seconds: float | None = None,
        idempotency_key: str | None = None,
    ) -> object:
        """Call any method; the result as plain objects. See Engine.call."""
        return self._portal.run(
            self._engine.call(
                method, params, deadline_seconds=deadline_seconds, idempotency_key=idempotency_key
            )
        )

    def stream(
        self,
        method: str,
        params: Mapping[str, object] | None = None,
        *,
        credit: int = DEFAULT_CREDIT,
        deadline_seconds: float | None = None,
        idempotency_key: str | None = None,
    ) -> SyncStream[object, object]:
        """Open any stream; events and result as plain objects."""
        return self._stream(
            lambda: self._engine.stream(
                method,
                params,
                credit=credit,
                deadline_seconds=deadline_seconds,
                idempotency_key=idempotency_key,
            )
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


async def _open(opening: Callable[[], Opening]) -> Engine:
    return await opening()
