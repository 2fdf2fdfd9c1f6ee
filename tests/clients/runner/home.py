"""One driver and one engine for all scenarios of a client, as long as nothing goes wrong."""

import asyncio

from tests.clients.runner.client import Client
from tests.clients.runner.engine import Engine
from tests.clients.runner.process import DriverProcess
from tests.clients.runner.toolchains import DriverProgram
from tests.clients.scenarios.table import Scenario
from tests.support.processes import assert_gone


class Home:
    """Runs scenarios. After one that fails it begins anew, so that the next is not blamed."""

    def __init__(self, program: DriverProgram) -> None:
        self._program = program
        self._owner: Client | None = None
        self._shared: Engine | None = None

    async def run(self, scenario: Scenario) -> None:
        """Act a scenario and look at what it leaves behind. Raises AssertionError."""
        owner, shared = self._owner, self._shared
        if owner is None or shared is None:
            owner, shared = await self._begin()
        client = Client(self._program, owner.driver, shared)
        try:
            await scenario.act(client)
            await client.leave()
            await self._look(owner.driver, shared)
        except BaseException as error:
            error.add_note(owner.driver.report())
            owner.driver.kill()
            self._owner = self._shared = None
            raise

    async def end(self) -> None:
        """End the driver in order; nothing of it may be left."""
        owner, self._owner, self._shared = self._owner, None, None
        if owner is not None:
            await owner.driver.end()

    async def _begin(self) -> tuple[Client, Engine]:
        self._program.demand()
        driver = await DriverProcess.start(self._program.command)
        try:
            self._owner = Client(self._program, driver)
            self._shared = await self._owner.spawn()
            await self._shared.ask("models.load", {"model": "default"})
        except BaseException:
            driver.kill()
            self._owner = self._shared = None
            raise
        return self._owner, self._shared

    async def _look(self, driver: DriverProcess, shared: Engine) -> None:
        """The shared engine is idle and the only one."""
        driver.check()
        await shared.settled()
        assert shared.notices == []
        kept = {shared.process.pid, *(child.pid for child in shared.process.children(recursive=True))}
        others = [process for process in driver.children if process.pid not in kept]
        await asyncio.to_thread(assert_gone, others)
