"""What a scenario sees of a client: engines, requests and questions, whatever language is behind them."""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.clients.runner.engine import Engine
from tests.clients.runner.process import DriverProcess, Said
from tests.clients.runner.request import Fields, Request
from tests.clients.runner.toolchains import DriverProgram
from tests.support.processes import assert_gone

SIDECAR = (sys.executable, "-P", "-m", "sidecar")
FAKE_SIDECAR = (sys.executable, "-m", "tests.support.fake_sidecar")
APP_ID = "conformance"
_NUMBERS = itertools.count(1)


class Client:
    """A client behind its driver, with engines and requests of its own; several may share a driver."""

    def __init__(self, program: DriverProgram, driver: DriverProcess, shared: Engine | None = None) -> None:
        self.language = program.language
        self.driver = driver
        self.asked: list[Said] = []
        """What the engine has asked of handlers and tools."""
        self._program = program
        self._shared = shared
        self._withdrawn: set[str] = set()
        self._engines: dict[str, Engine] = {}
        self._refusals: dict[str, Fields] = {}
        self._requests: dict[str, Request] = {}
        self._measured: dict[str, Fields] = {}
        driver.listen(self._take)

    @property
    def shared(self) -> Engine:
        """The engine that scenarios share: real, its model in memory; to be given back idle."""
        assert self._shared is not None, "a second program has no shared engine"
        return self._shared

    async def spawn(
        self,
        options: Mapping[str, object] | None = None,
        command: Sequence[str] = SIDECAR,
        **terms: object,
    ) -> Engine:
        """Start an engine: the real one with the default model, unless told otherwise."""
        return await self._opened(self.begin_spawning(options, command, **terms))

    async def refused_spawn(
        self,
        options: Mapping[str, object] | None = None,
        command: Sequence[str] = SIDECAR,
        **terms: object,
    ) -> Fields:
        """Start an engine that cannot start: the error, after which nothing may be left."""
        before = {process.pid for process in self.driver.children}
        error = await self._refused(self.begin_spawning(options, command, **terms))
        left = [process for process in self.driver.children if process.pid not in before]
        await asyncio.to_thread(assert_gone, left)
        return error

    def begin_spawning(
        self,
        options: Mapping[str, object] | None = None,
        command: Sequence[str] = SIDECAR,
        **terms: object,
    ) -> str:
        """Start an engine without waiting for it; the name that the driver knows it by."""
        return self._open("spawn", command=list(command), app_id=APP_ID, options=dict(options or {}), **terms)

    async def measure(self, what: str, engine: Engine | None = None, **given: object) -> Fields:
        """What the driver measures: `pings`, `streams` or `timer`."""
        name = f"measure {next(_NUMBERS)}"
        about = {"engine": engine.name} if engine is not None else {}
        self.driver.tell(do=f"measure_{what}", measure=name, **about, **given)
        return await self.driver.wait_for(lambda: self._measured.get(name), f"measure of {what}")

    async def connect(self, connection_file: Path, **terms: object) -> Engine:
        """Attach to an engine that runs."""
        return await self._opened(self._open("connect", connection_file=str(connection_file), **terms))

    async def refused_connection(self, connection_file: Path, **terms: object) -> Fields:
        """Attach to an engine that does not let this program in: the error."""
        return await self._refused(self._open("connect", connection_file=str(connection_file), **terms))

    async def question(self, number: int = 0) -> Said:
        """What a handler or tool was asked, the first time or a later one."""
        return await self.driver.wait_for(
            lambda: self.asked[number] if len(self.asked) > number else None, f"question {number}"
        )

    def answer(self, question: Said, **answer: object) -> None:
        """End a handler that holds: with `result` or `throw`."""
        self.driver.tell(do="answer", held=question["held"], **answer)

    async def withdrawal(self, question: Said) -> None:
        """The engine no longer wants the answer."""
        held = question["held"]
        await self.driver.wait_for(lambda: held in self._withdrawn or None, f"withdrawal of {held}")

    @asynccontextmanager
    async def another(self) -> AsyncIterator["Client"]:
        """A second program of the same language; unless it was killed, it must end well."""
        driver = await DriverProcess.start(self._program.command)
        try:
            yield Client(self._program, driver)
        except BaseException:
            driver.kill()
            raise
        if driver.is_running:
            await driver.end()

    async def leave(self) -> None:
        """Close what is still open."""
        still_open = [engine for engine in self._engines.values() if engine.opened and not engine.is_closed]
        await asyncio.gather(*(engine.close() for engine in still_open))
        self.driver.stop_listening(self._take)

    def _open(self, do: str, **terms: object) -> str:
        name = f"engine {next(_NUMBERS)}"
        self._engines[name] = Engine(self.driver, name, self._make_request)
        self.driver.tell(do=do, engine=name, **terms)
        return name

    async def _opened(self, name: str) -> Engine:
        engine = self._engines[name]

        def find() -> Engine | None:
            assert name not in self._refusals, f"{self._refusals[name]}\n{self.driver.report()}"
            return engine if engine.opened else None

        return await self.driver.wait_for(find, f"opening of {name}")

    async def _refused(self, name: str) -> Fields:
        def find() -> Fields | None:
            assert not self._engines[name].opened, f"{name} was opened\n{self.driver.report()}"
            return self._refusals.get(name)

        error = await self.driver.wait_for(find, f"refusal of {name}")
        assert error["class"] == "StartFailed", error
        return error

    def _make_request(self) -> tuple[str, Request]:
        name = f"request {next(_NUMBERS)}"
        request = self._requests[name] = Request(self.driver, name)
        return name, request

    def _take(self, said: Said) -> None:
        about = said.fields
        if about.get("request") in self._requests:
            self._requests[about["request"]].take(said)
        elif about.get("engine") in self._engines:
            self._engines[about["engine"]].take(said)
        match said.word:
            case "not_opened":
                self._refusals[said["engine"]] = said["error"]
            case "asked":
                self.asked.append(said)
            case "withdrawn":
                self._withdrawn.add(said["held"])
            case "measured":
                self._measured[said["measure"]] = said.fields
