"""The engine, as a program sees it.

async with Engine.spawn(app_id="my-app") as engine:
    answer = await engine.chat.create(messages=[{"role": "user", "content": "Hello"}])
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from sidecar_client.calls import Parameters, typed_call, typed_stream
from sidecar_client.connection import Connection
from sidecar_client.errors import InvalidParams, StartFailed, error_from_protocol
from sidecar_client.host_handlers import HostHandlers
from sidecar_client.keeper import EngineKeeper
from sidecar_client.life import Life, OnLost, attach_life, start_life
from sidecar_client.liveness import Liveness
from sidecar_client.namespaces import Namespaces
from sidecar_client.notices import Notice
from sidecar_client.request import Request
from sidecar_client.restart import RestartPolicy
from sidecar_client.spawn import SpawnPlan
from sidecar_client.stream import Stream
from sidecar_protocol.codec import encode_body
from sidecar_protocol.common import Done
from sidecar_protocol.engine import EngineInfo, EngineStats, FrameEvent, LogEvent, LogLevel, Pong
from sidecar_protocol.errors import ProtocolError
from sidecar_protocol.handshake import Welcome
from sidecar_protocol.limits import DEFAULT_CREDIT

DEFAULT_RESTART = RestartPolicy()
DEFAULT_LIVENESS = Liveness()


class Opening:
    """An engine about to be opened: `async with` closes it at the end, `await` leaves that to the caller."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def __await__(self) -> Generator[object, None, "Engine"]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> "Engine":
        return await self._engine.open()

    async def __aexit__(self, *exception: object) -> None:
        await self._engine.close()


class Engine(Namespaces):
    """A running engine. Made by `spawn` or `connect`; every method raises EngineError and its subclasses."""

    def __init__(
        self,
        open_life: Callable[[Connection, OnLost], Awaitable[Life]],
        *,
        restart: RestartPolicy | None,
        handlers: HostHandlers | None,
        on_notice: Callable[[Notice], None] | None,
        on_notification: Callable[[str, object], None] | None,
        liveness: Liveness,
    ) -> None:
        super().__init__(self)
        self._on_notice = on_notice
        self._on_notification = on_notification
        self._notification_sinks: dict[str, list[Callable[[object], None]]] = {}

        async def open_next(on_lost: OnLost) -> Life:
            connection = Connection(handlers or {}, liveness, self._notify, self._take_notification)
            return await open_life(connection, on_lost)

        self._keeper = EngineKeeper(open_next, restart, self._notify)

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
    ) -> Opening:
        """Start an engine of one's own; it ends with this program at the latest.

        `command` is the frozen sidecar's path in a shipped application; left out, it
        is this Python's `sidecar` module. `options` are those of the protocol's spawn
        line. `handlers` are coroutine functions that answer requests of the engine, by name: they
        get the protocol's type, such as HostElicit, and give its result or plain objects. `on_log` gets each
        line of its stderr, `on_notice` what there is to know about its health, `on_notification` the name
        and body of each notification, also of one that comes before a sink could be added to the engine.
        After a crash it is started again as `restart` allows; no request is ever
        sent twice. Opening raises StartFailed.
        """
        plan = SpawnPlan(
            command=list(command) if command is not None else default_command(),
            options={**(options or {}), "app_id": app_id},
            handshake_timeout=handshake_timeout,
            environment=os.environ if environment is None else environment,
            on_log=on_log,
        )
        return Opening(
            cls(
                partial(start_life, plan),
                restart=restart,
                handlers=handlers,
                on_notice=on_notice,
                on_notification=on_notification,
                liveness=liveness,
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
    ) -> Opening:
        """Attach to an engine started with `sidecar --socket`: the newest that lives, or that of the file.

        Closing leaves it running. Opening raises StartFailed.
        """
        path = Path(connection_file) if connection_file is not None else None
        return Opening(
            cls(
                partial(attach_life, path, handshake_timeout),
                restart=None,
                handlers=handlers,
                on_notice=on_notice,
                on_notification=on_notification,
                liveness=liveness,
            )
        )

    async def open(self) -> Self:
        """Begin; what `spawn` and `connect` return does it. Raises StartFailed."""
        await self._keeper.start()
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    @property
    def welcome(self) -> Welcome:
        """What the engine said about itself: version, limits, methods. Raises EngineLost without one."""
        return self._keeper.life.connection.welcome

    @property
    def pid(self) -> int | None:
        """Process id of an engine of one's own. Raises EngineLost while there is none."""
        process = self._keeper.life.process
        return process.pid if process is not None else None

    async def close(self, grace_seconds: float = 0.0) -> None:
        """End the engine, or leave one that was connected to.

        Running requests get `grace_seconds` to finish, then are cancelled; the
        process is asked, then terminated, then killed, with all of its group.
        """
        await self._keeper.close(grace_seconds)

    async def abort(self) -> None:
        """End the engine at once: its process group is killed."""
        await self._keeper.abort()

    async def call(
        self,
        method: str,
        params: Parameters | None = None,
        *,
        deadline_seconds: float | None = None,
        idempotency_key: str | None = None,
    ) -> object:
        """Call any method; the result as plain objects.

        The engine ends the request after `deadline_seconds` with DeadlineExceeded.
        A method that takes an `idempotency_key` does its work once for each, however
        often it is called with it; others answer InvalidParams.
        """
        request = self.submit(
            method,
            params,
            credit=None,
            deadline_seconds=deadline_seconds,
            idempotency_key=idempotency_key,
        )
        try:
            return await request.result()
        except asyncio.CancelledError:
            request.cancel()
            raise

    def stream(
        self,
        method: str,
        params: Mapping[str, object] | None = None,
        *,
        credit: int = DEFAULT_CREDIT,
        deadline_seconds: float | None = None,
        idempotency_key: str | None = None,
    ) -> Stream[object, object]:
        """Open any stream; events and result as plain objects. The options are those of `call`."""
        request = self.submit(
            method,
            {**(params or {}), "stream": True},
            credit=credit,
            deadline_seconds=deadline_seconds,
            idempotency_key=idempotency_key,
        )
        return Stream(request, _plain, _plain)

    def on_notification(self, name: str, sink: Callable[[object], None]) -> Callable[[], None]:
        """Call `sink` with the body of each notification of that name; returns the function that stops it."""
        sinks = self._notification_sinks.setdefault(name, [])
        sinks.append(sink)
        return lambda: sinks.remove(sink)

    async def info(self) -> EngineInfo:
        """Version, process, folders and what can run models here."""
        return await typed_call(self, "engine.info", EngineInfo)

    async def stats(self) -> EngineStats:
        """Memory, requests and tokens, for the process and each model."""
        return await typed_call(self, "engine.stats", EngineStats)

    async def ping(self) -> Pong:
        """Whether the engine is alive and what it is doing."""
        return await typed_call(self, "engine.ping", Pong)

    def logs(self, level: LogLevel = "info") -> Stream[LogEvent, Done]:
        """Log records from now on, until the stream is left."""
        return typed_stream(self, "engine.logs", Done, {"level": level})

    def watch(self) -> Stream[FrameEvent, Done]:
        """Every message that crosses the transport, until the stream is left; debug connections only."""
        return typed_stream(self, "engine.watch", Done, {})

    async def set_log_level(self, level: LogLevel) -> Done:
        """Log more or less from now on."""
        return await typed_call(self, "engine.set_log_level", Done, {"level": level})

    async def shutdown(self, grace_seconds: float = 0.0) -> Done:
        """End the process in order, also one that was connected to; `close` does so for one's own."""
        self._keeper.stop_restarting()
        return await typed_call(self, "engine.shutdown", Done, {"grace_ms": int(grace_seconds * 1000)})

    def submit(
        self,
        method: str,
        params: Parameters | None,
        *,
        credit: int | None,
        deadline_seconds: float | None,
        idempotency_key: str | None = None,
    ) -> Request:
        """Send a request, or keep it until a restart is through. Raises EngineError for unsendable params."""
        if credit is not None and credit < 1:
            raise InvalidParams(
                f"{method}: credit is {credit}; it must be 1 event at least", data={"parameter": "credit"}
            )
        try:
            body = encode_body({} if params is None else params)
        except ProtocolError as error:
            raise error_from_protocol(error) from error
        ttl = None if deadline_seconds is None else max(0, int(deadline_seconds * 1000))
        request = Request(method, body, credit=credit, ttl=ttl, idem=idempotency_key)
        self._keeper.submit(request)
        return request

    # A callback that raises is for the loop to report: whoever noticed goes on with what else there is.

    def _notify(self, notice: Notice) -> None:
        if self._on_notice is not None:
            asyncio.get_running_loop().call_soon(self._on_notice, notice)

    def _take_notification(self, name: str, body: object) -> None:
        loop = asyncio.get_running_loop()
        if self._on_notification is not None:
            loop.call_soon(self._on_notification, name, body)
        for sink in self._notification_sinks.get(name, ()):
            loop.call_soon(sink, body)


def default_command() -> list[str]:
    """This Python's own sidecar. Raises StartFailed in a frozen program, which has none."""
    if getattr(sys, "frozen", False):
        raise StartFailed(
            "a frozen program has no Python to run the sidecar with; pass its path as `command`"
        )
    # -P: a folder named `sidecar` where the program happens to run must not be taken for the engine.
    return [sys.executable, "-P", "-m", "sidecar"]


def _plain(value: object) -> object:
    return value
