"""One engine that a driver has opened."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

import psutil

from tests.clients.runner.process import DEADLINE_SECONDS, DriverProcess, Said
from tests.clients.runner.request import Fields, Request
from tests.support.processes import assert_gone

MakeRequest = Callable[[], tuple[str, Request]]


class Engine:
    """Requests, health and the end of an engine. `opened` is what it said of itself."""

    def __init__(self, driver: DriverProcess, name: str, make_request: MakeRequest) -> None:
        self.opened: Fields = {}
        self.notices: list[Said] = []
        self.notifications: list[Said] = []
        self.is_closed = False
        self._driver = driver
        self.name = name
        self._make_request = make_request

    @property
    def process(self) -> psutil.Process:
        """Its process, the present one after restarts."""
        restarts = [notice["pid"] for notice in self.notices if notice["kind"] == "restarted"]
        return psutil.Process([self.opened["pid"], *restarts][-1])

    def call(
        self,
        method: str,
        params: Fields | None = None,
        *,
        deadline_ms: int | None = None,
        idempotency_key: str | None = None,
    ) -> Request:
        """A request that does not stream."""
        return self._ask("call", method, params, deadline_ms=deadline_ms, idempotency_key=idempotency_key)

    def stream(
        self,
        method: str,
        params: Fields | None = None,
        *,
        read: str | int = "all",
        credit: int | None = None,
        deadline_ms: int | None = None,
    ) -> Request:
        """A request that streams, of which so many events are read."""
        return self._ask("stream", method, params, read=read, credit=credit, deadline_ms=deadline_ms)

    async def ask(self, method: str, params: Fields | None = None) -> Any:
        """A call's result."""
        return await self.call(method, params).result()

    async def settled(self, seconds: float = DEADLINE_SECONDS) -> Fields:
        """Its stats, once nothing runs but the question itself."""
        stats: Fields = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    stats = await self.ask("engine.stats")
                    busy = sum(
                        model["running"] + model["waiting"] + model["blocks"]["used"]
                        for model in stats["models"]
                    )
                    if stats["active_requests"] == 1 and not busy:
                        return stats
        raise AssertionError(f"after {seconds:g} s something still runs: {stats}\n{self._driver.report()}")

    async def notice(self, kind: str, number: int = 0, seconds: float = DEADLINE_SECONDS) -> Said:
        """The notice of this kind, the first or a later one."""

        def find() -> Said | None:
            found = [notice for notice in self.notices if notice["kind"] == kind]
            return found[number] if len(found) > number else None

        return await self._driver.wait_for(find, f"notice {kind} of {self.name}", seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        os.kill(self.process.pid, number)

    async def close(self, grace_ms: int = 0) -> None:
        """End it in order; nothing of it may be left."""
        await self._finish(do="close", grace_ms=grace_ms)

    async def abort(self) -> None:
        """End it at once; nothing of it may be left."""
        await self._finish(do="abort")

    def take(self, said: Said) -> None:
        """A line about this engine."""
        match said.word:
            case "opened":
                self.opened = said.fields
            case "closed":
                self.is_closed = True
            case "notice":
                self.notices.append(said)
            case "notification":
                self.notifications.append(said)

    def _ask(self, do: str, method: str, params: Fields | None, **terms: object) -> Request:
        name, request = self._make_request()
        given = {key: value for key, value in terms.items() if value is not None}
        self._driver.tell(do=do, request=name, engine=self.name, method=method, params=params or {}, **given)
        return request

    async def _finish(self, **command: object) -> None:
        tree = self._tree()
        self._driver.tell(engine=self.name, **command)
        await self._driver.wait_for(lambda: self.is_closed or None, f"closing of {self.name}")
        await asyncio.to_thread(assert_gone, tree)

    def _tree(self) -> list[psutil.Process]:
        if self.opened["pid"] is None:
            return []
        try:
            return [self.process, *self.process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
