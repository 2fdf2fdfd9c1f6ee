"""Keeps an engine running, one life after another as the restart policy allows. Sends nothing twice."""

import asyncio
from collections.abc import Awaitable, Callable

from sidecar_client.errors import EngineLost, StartFailed
from sidecar_client.life import Life, OnLost
from sidecar_client.notices import EngineCrashed, EngineGaveUp, EngineRestarted, Notice
from sidecar_client.request import Request
from sidecar_client.restart import RestartBudget, RestartPolicy

OpenLife = Callable[[OnLost], Awaitable[Life]]
"""Starts or attaches to an engine; is given whom to tell about its loss. Raises StartFailed."""


class EngineKeeper:
    """Requests go to the present life; between two lives they wait, unsent, for the next."""

    def __init__(
        self, open_life: OpenLife, restart: RestartPolicy | None, notify: Callable[[Notice], None]
    ) -> None:
        self._open_life = open_life
        self._budget = RestartBudget(restart)
        self._notify = notify
        self._life: Life | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._unsent: list[Request] = []
        self._over: EngineLost | None = None
        self._closing = False

    @property
    def life(self) -> Life:
        """The present life. Raises EngineLost between two lives and after the last."""
        if self._life is None:
            raise self._over or EngineLost("the engine is being started again")
        return self._life

    async def start(self) -> None:
        """Begin the first life. Raises StartFailed."""
        self._life = await self._open_life(self._lost)

    def submit(self, request: Request) -> None:
        """Send it now, or once a restart is through; fails it when there is no engine and will be none."""
        if self._over is not None:
            request.fail(self._over.for_request(sent=False))
        elif self._life is not None and not self._life.is_over:
            self._life.connection.submit(request)
        else:
            self._unsent.append(request)

    def stop_restarting(self) -> None:
        """The next end of the engine is its last."""
        self._budget = RestartBudget(None)

    async def close(self, grace_seconds: float) -> None:
        """End the present life in order."""
        self._closing = True
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        if self._life is not None:
            await self._life.close(grace_seconds)
        self._finish(EngineLost("the engine was closed by this program"))

    async def abort(self) -> None:
        """End the present life at once."""
        self._closing = True
        if self._life is not None:
            await self._life.abort()
        await self.close(0.0)

    def _lost(self, life: Life, error: EngineLost) -> None:
        self._life = None
        if self._closing or life.ended_in_order:
            self._finish(error)
            return
        self._notify(EngineCrashed(error))
        self._restart_after(error)

    def _restart_after(self, error: EngineLost) -> None:
        policy = self._budget.policy
        if self._budget.spend(asyncio.get_running_loop().time()):
            self._restarting = asyncio.ensure_future(self._restart())
            return
        if policy is not None:
            error = EngineLost(
                f"{error.message}; after {policy.max_restarts} restarts within {policy.within_seconds:g} s "
                "it is not started again",
                exit_status=error.exit_status,
                stderr_tail=error.stderr_tail,
            )
            self._notify(EngineGaveUp(error))
        self._finish(error)

    async def _restart(self) -> None:
        try:
            life = await self._open_life(self._lost)
        except StartFailed as error:
            lost = EngineLost(error.message, exit_status=error.exit_status, stderr_tail=error.stderr_tail)
            self._restart_after(lost)
            return
        self._life = life
        unsent, self._unsent = self._unsent, []
        for request in unsent:
            if not request.ended:
                life.connection.submit(request)
        if life.process is not None:
            self._notify(EngineRestarted(life.process.pid))

    def _finish(self, error: EngineLost) -> None:
        self._over = self._over or error
        unsent, self._unsent = self._unsent, []
        for request in unsent:
            request.fail(self._over.for_request(sent=False))
