"""Does with `sidecar_client` what lines of JSON on stdin say, and says in lines of JSON what it sees.

The language is that of tests/clients/README.md. It uses the client as an
application would, and knows nothing of the tests that drive it.
"""

import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from python_handlers import Holder
from python_measures import measure_pings, measure_streams, measure_timer
from python_said import Fields, error_fields, notice_fields, read_line, say

from sidecar_client import Engine, EngineError, Liveness, RestartPolicy, Stream

NOTIFICATIONS = (
    "models.changed",
    "mcp.changed",
    "mcp.resource_updated",
    "engine.log",
    "engine.pressure",
    "protocol.error",
)


@dataclass
class Reader:
    """How many more events of a stream may be read; None: all."""

    wanted: int | None = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def allow(self, count: str | int) -> None:
        """Read so many more."""
        self.wanted = None if count == "all" else (self.wanted or 0) + int(count)
        self.more.set()

    async def turn(self) -> None:
        """Wait until the next event may be read."""
        while self.wanted == 0:
            self.more.clear()
            await self.more.wait()
        if self.wanted is not None:
            self.wanted -= 1


class Driver:
    """The engines and requests of one run."""

    def __init__(self) -> None:
        self._engines: dict[str, Engine] = {}
        self._requests: dict[str, asyncio.Task[None]] = {}
        self._readers: dict[str, Reader] = {}
        self._holder = Holder()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Take commands until stdin ends; returns the exit status."""
        status = 0
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            try:
                self._obey(read_line(line))
            except (ValueError, KeyError, TypeError) as error:
                say("bad_command", line=line.decode(errors="replace")[:500], why=repr(error))
                status = 3
                break
        await asyncio.gather(*(engine.close() for engine in self._engines.values()))
        return status

    def _obey(self, given: Fields) -> None:
        """Begin what a command says. Raises ValueError, KeyError and TypeError for what is no command."""
        match given["do"]:
            case "spawn":
                self._spawn(given)
            case "connect":
                opening = Engine.connect(given["connection_file"], **self._terms(given))
                self._begin(self._open(given["engine"], opening))
            case "close":
                ending = self._engines[given["engine"]].close(given.get("grace_ms", 0) / 1000)
                self._begin(self._end(given["engine"], ending))
            case "abort":
                self._begin(self._end(given["engine"], self._engines[given["engine"]].abort()))
            case "call":
                calling = self._engines[given["engine"]].call(
                    given["method"], given.get("params"), **_call_terms(given)
                )
                self._requests[given["request"]] = self._begin(self._finish(given["request"], calling))
            case "stream":
                self._stream(given)
            case "read":
                self._readers[given["request"]].allow(given["count"])
            case "cancel":
                self._begin(self._leave(given["request"]))
            case "answer":
                self._holder.answer(given)
            case "measure_pings":
                self._begin(self._measure(given, measure_pings(self._engines[given["engine"]], given)))
            case "measure_streams":
                self._begin(self._measure(given, measure_streams(self._engines[given["engine"]], given)))
            case "measure_timer":
                self._begin(self._measure(given, measure_timer(given)))
            case unknown:
                raise ValueError(f"nothing is known of {unknown!r}")

    # --- engines

    def _spawn(self, given: Fields) -> None:
        terms = self._terms(given)
        restart = given.get("restart")
        if isinstance(restart, Mapping):
            terms["restart"] = RestartPolicy(
                max_restarts=restart["max_restarts"], within_seconds=restart["within_ms"] / 1000
            )
        elif restart is False:
            terms["restart"] = None
        if "environment" in given:
            terms["environment"] = given["environment"]
        opening = Engine.spawn(
            given["command"], app_id=given["app_id"], options=given.get("options"), **terms
        )
        self._begin(self._open(given["engine"], opening))

    def _terms(self, given: Fields) -> Fields:
        """What spawning and connecting have in common."""
        name = given["engine"]
        terms: Fields = {
            "handlers": self._holder.handlers(given),
            "on_notice": lambda notice: say("notice", engine=name, **notice_fields(notice)),
        }
        if "handshake_timeout_ms" in given:
            terms["handshake_timeout"] = given["handshake_timeout_ms"] / 1000
        if "liveness" in given:
            terms["liveness"] = Liveness(
                ping_seconds=given["liveness"]["ping_every_ms"] / 1000,
                frozen_seconds=given["liveness"]["frozen_after_ms"] / 1000,
            )
        return terms

    async def _open(self, name: str, opening: Awaitable[Engine]) -> None:
        try:
            engine = await opening
        except EngineError as error:
            say("not_opened", engine=name, error=error_fields(error))
            return
        self._engines[name] = engine
        for notification in NOTIFICATIONS:
            engine.on_notification(notification, self._teller(name, notification))
        welcome = engine.welcome
        say(
            "opened",
            engine=name,
            pid=engine.pid,
            boot_id=welcome.boot_id,
            version=welcome.version,
            protocol=welcome.protocol,
            methods=welcome.methods,
            capabilities=welcome.capabilities,
        )

    def _teller(self, engine: str, notification: str) -> Callable[[object], None]:
        return lambda body: say("notification", engine=engine, name=notification, body=body)

    async def _end(self, name: str, ending: Awaitable[None]) -> None:
        await ending
        say("closed", engine=name)

    # --- requests

    def _stream(self, given: Fields) -> None:
        name = given["request"]
        credit = {"credit": given["credit"]} if "credit" in given else {}
        try:
            stream = self._engines[given["engine"]].stream(
                given["method"],
                given.get("params"),
                **credit,
                **_call_terms(given),
            )
        except EngineError as error:
            say("error", request=name, error=error_fields(error))
            return
        reader = self._readers[name] = Reader()
        reader.allow(given.get("read", "all"))
        self._requests[name] = self._begin(self._finish(name, self._read(name, stream, reader)))

    async def _read(self, name: str, stream: Stream[object, object], reader: Reader) -> object:
        indexes = itertools.count()
        async with stream:
            await reader.turn()
            async for value in stream:
                say("event", request=name, index=next(indexes), value=value)
                await reader.turn()
            return await stream.result()

    async def _finish(self, name: str, work: Awaitable[object]) -> None:
        try:
            say("result", request=name, value=await work)
        except EngineError as error:
            say("error", request=name, error=error_fields(error))

    async def _leave(self, name: str) -> None:
        request = self._requests.get(name)
        if request is not None:
            request.cancel()
            await asyncio.wait([request])
        say("left", request=name)

    # --- work

    async def _measure(self, given: Fields, measuring: Awaitable[Fields]) -> None:
        say("measured", measure=given["measure"], **await measuring)

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _call_terms(given: Fields) -> Fields:
    """What calls and streams have in common."""
    terms: Fields = {}
    if "deadline_ms" in given:
        terms["deadline_seconds"] = given["deadline_ms"] / 1000
    if "idempotency_key" in given:
        terms["idempotency_key"] = given["idempotency_key"]
    return terms


if __name__ == "__main__":
    sys.exit(asyncio.run(Driver().run()))
