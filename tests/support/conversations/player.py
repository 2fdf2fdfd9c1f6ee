"""Does what a conversation's actions say with our own client, in this process."""

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from sidecar_client import Engine, EngineError, HostTools, Liveness, Stream
from sidecar_client.connection import Connection
from sidecar_client.life import Life, OnLost

Fields = dict[str, Any]
Open = Callable[[Connection], Awaitable[None]]
"""Opens a connection to whatever plays the engine."""

NOTIFICATIONS = ("models.changed", "protocol.error")
ARGUMENT_TYPES = {"integer": int, "string": str}


class Reader:
    """How many more events of a stream may be read."""

    def __init__(self, count: str | int) -> None:
        self._wanted: float = 0
        self._more = asyncio.Event()
        self.allow(count)

    def allow(self, count: str | int) -> None:
        """Read so many more, or all."""
        self._wanted += float("inf") if count == "all" else int(count)
        self._more.set()

    async def turn(self) -> None:
        """Wait until the next event may be read."""
        while self._wanted < 1:
            self._more.clear()
            await self._more.wait()
        self._wanted -= 1


class Player:
    """One program with one engine. What it sees goes to `said`, in the words of the drivers' language."""

    def __init__(self, open_connection: Open) -> None:
        self.said: list[Fields] = []
        self._open_connection = open_connection
        self._changed = asyncio.Condition()
        self._engine: Engine | None = None
        self._requests: dict[str, asyncio.Task[None]] = {}
        self._readers: dict[str, Reader] = {}
        self._held: dict[str, asyncio.Future[object]] = {}
        self._names = (f"h{number}" for number in itertools.count(1))
        self._tasks: set[asyncio.Task[None]] = set()

    def do(self, action: Fields) -> None:
        """Begin an action; it is never waited for."""
        match action["do"]:
            case "connect":
                self._begin(self._connect(action))
            case "call":
                calling = self._opened.call(
                    action["method"], action["params"], deadline_seconds=_seconds(action.get("deadline_ms"))
                )
                self._requests[action["request"]] = self._begin(self._finish(action["request"], calling))
            case "stream":
                self._stream(action)
            case "read":
                self._readers[action["request"]].allow(action["count"])
            case "cancel":
                self._begin(self._leave(action["request"]))
            case "answer":
                self._held[action["held"]].set_result(action["result"])
            case unknown:
                raise ValueError(f"no action is called {unknown!r}")

    async def until_said(self, count: int) -> None:
        """Wait until so much has been said."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.said) >= count)

    async def close(self) -> None:
        """End it without another word."""
        for task in list(self._tasks):
            task.cancel()
        if self._engine is not None:
            await self._engine.close()

    @property
    def _opened(self) -> Engine:
        assert self._engine is not None
        return self._engine

    async def _connect(self, action: Fields) -> None:
        async def open_life(connection: Connection, on_lost: OnLost) -> Life:
            await self._open_connection(connection)
            return Life(connection, None, on_lost)

        tools = HostTools()
        for tool in action.get("tools", ()):
            tools.add(self._tool(tool), name=tool["name"], description="A tool.")
        liveness = Liveness(
            ping_seconds=action["liveness"]["ping_every_ms"] / 1000,
            frozen_seconds=action["liveness"]["frozen_after_ms"] / 1000,
        )
        engine = Engine(
            open_life,
            restart=None,
            handlers=tools.handlers if action.get("tools") else None,
            on_notice=None,
            on_notification=None,
            liveness=liveness,
        )
        try:
            self._engine = await engine.open()
        except EngineError as error:
            await self._say("not_opened", engine=action["engine"], error=error_fields(error))
            return
        for name in NOTIFICATIONS:
            engine.on_notification(name, self._teller(action["engine"], name))
        welcome = engine.welcome
        await self._say(
            "opened",
            engine=action["engine"],
            boot_id=welcome.boot_id,
            version=welcome.version,
            protocol=welcome.protocol,
            methods=welcome.methods,
            capabilities=welcome.capabilities,
        )

    def _teller(self, engine: str, name: str) -> Callable[[object], None]:
        def tell(body: object) -> None:
            self._begin(self._say("notification", engine=engine, name=name, body=body))

        return tell

    def _tool(self, tool: Fields) -> Callable[..., Awaitable[object]]:
        async def function(**arguments: object) -> object:
            name = next(self._names)
            held = self._held[name] = asyncio.get_running_loop().create_future()
            await self._say("asked", held=name, method="host.call_tool", tool=tool["name"], params=arguments)
            match tool["behaviour"]:
                case "answer":
                    held.set_result(tool["result"])
                case "throw":
                    held.set_exception(RuntimeError(tool["message"]))
            try:
                return await held
            except asyncio.CancelledError:
                await self._say("withdrawn", held=name)
                raise

        properties = tool.get("parameters", {}).get("properties", {})
        function.__annotations__ = {name: ARGUMENT_TYPES[kind["type"]] for name, kind in properties.items()}
        keyword_only = inspect.Parameter.KEYWORD_ONLY
        parameters = [inspect.Parameter(name, keyword_only) for name in properties]
        vars(function)["__signature__"] = inspect.Signature(parameters)
        return function

    def _stream(self, action: Fields) -> None:
        name = action["request"]
        options = {"credit": action["credit"]} if "credit" in action else {}
        stream = self._opened.stream(
            action["method"],
            action["params"],
            deadline_seconds=_seconds(action.get("deadline_ms")),
            **options,
        )
        reader = self._readers[name] = Reader(action["read"])
        self._requests[name] = self._begin(self._finish(name, self._read(name, stream, reader)))

    async def _read(self, name: str, stream: Stream[object, object], reader: Reader) -> object:
        async with stream:
            indexes = itertools.count()
            await reader.turn()
            async for value in stream:
                await self._say("event", request=name, index=next(indexes), value=value)
                await reader.turn()
            return await stream.result()

    async def _finish(self, name: str, work: Awaitable[object]) -> None:
        try:
            await self._say("result", request=name, value=await work)
        except EngineError as error:
            await self._say("error", request=name, error=error_fields(error))

    async def _leave(self, name: str) -> None:
        self._requests[name].cancel()
        await asyncio.wait([self._requests[name]])
        await self._say("left", request=name)

    async def _say(self, word: str, **fields: object) -> None:
        async with self._changed:
            self.said.append({"said": word, **fields})
            self._changed.notify_all()

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def error_fields(error: EngineError) -> Fields:
    """What every client says of an error."""
    return {"code": error.code, "message": error.message, "data": error.data, "retryable": error.retryable}
