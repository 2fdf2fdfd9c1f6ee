"""One life of an engine: a connection and, when this program started it, the process behind it."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from sidecar_client.connection import Connection
from sidecar_client.discovery import door_of, find_connection
from sidecar_client.errors import EngineError, EngineLost, StartFailed
from sidecar_client.process import SidecarProcess
from sidecar_client.request import Request
from sidecar_client.spawn import SpawnPlan, describe_exit, exited_before_ready, start_process
from sidecar_protocol.codec import encode_body
from sidecar_protocol.engine import EngineShutdown

# Together below the second within which a loss must be reported.
_EXIT_AFTER_DISCONNECT_SECONDS = 0.4
_LAST_WORDS_SECONDS = 0.5
_EXIT_AFTER_BYE_SECONDS = 5.0
_EXIT_AFTER_SHUTDOWN_SECONDS = 2.0
_EXIT_AFTER_TERMINATE_SECONDS = 1.0


OnLost = Callable[["Life", EngineLost], None]
"""Told once about the end of a life."""


class Life:
    """From the welcome to the end. `on_lost` is called once, after every pending request has failed."""

    def __init__(
        self,
        connection: Connection,
        process: SidecarProcess | None,
        on_lost: "OnLost",
    ) -> None:
        self.connection = connection
        self.process = process
        self._on_lost = on_lost
        self._over = asyncio.Event()
        self._closing = False
        self._conclusion = asyncio.ensure_future(self._conclude())
        connection.on_end = lambda _: self._over.set()
        if connection.end_reason is not None:
            self._over.set()
        if process is not None:
            process.on_exit = self._over.set
            if process.exited.is_set():
                self._over.set()

    @property
    def is_over(self) -> bool:
        """Whether it takes no request any more."""
        return self._over.is_set()

    @property
    def ended_in_order(self) -> bool:
        """Whether the engine ended because it was told to, by whomever."""
        return self.connection.said_bye or self._closing

    async def close(self, grace_seconds: float) -> None:
        """End our process in order, or only leave an engine that is not ours."""
        self._closing = True
        try:
            if self.process is not None:
                await self._shut_down(self.process, grace_seconds)
        finally:
            if self.process is not None:
                self.process.kill()
            await self.connection.close()
            await asyncio.shield(self._conclusion)

    async def abort(self) -> None:
        """End our process now, or only leave an engine that is not ours."""
        self._closing = True
        if self.process is not None:
            self.process.kill()
        else:
            await self.connection.close()
        await asyncio.shield(self._conclusion)

    async def _shut_down(self, process: SidecarProcess, grace_seconds: float) -> None:
        if not self._over.is_set():
            body = encode_body(EngineShutdown(grace_ms=int(grace_seconds * 1000)))
            request = Request("engine.shutdown", body, credit=None, ttl=None)
            self.connection.submit(request)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds + _EXIT_AFTER_SHUTDOWN_SECONDS):
                    with contextlib.suppress(EngineError):
                        await request.result()
                    await process.exited.wait()
        await process.end(_EXIT_AFTER_TERMINATE_SECONDS)

    async def _conclude(self) -> None:
        await self._over.wait()
        process = self.process
        if process is not None and not self._closing:
            if self.connection.said_bye:
                self._fail_pending()
                await process.wait(_EXIT_AFTER_BYE_SECONDS)
            else:
                await process.wait(_EXIT_AFTER_DISCONNECT_SECONDS)
            process.kill()
        if process is not None:
            await process.exited.wait()
            # What it still said, on stderr and in messages, is on its way through our threads.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_SECONDS):
                    await process.stderr_ended.wait()
                    await self.connection.ended.wait()
        error = self._fail_pending()
        await self.connection.close()
        self._on_lost(self, error)

    def _fail_pending(self) -> EngineLost:
        process = self.process
        if self._closing:
            message = "the engine was closed by this program"
        elif process is None or process.exit_status is None:
            message = f"the engine is gone: {self.connection.end_reason}"
        else:
            message = f"the engine {describe_exit(process.exit_status)}"
        error = EngineLost(
            message,
            exit_status=process.exit_status if process is not None else None,
            stderr_tail=process.stderr_tail if process is not None else (),
        )
        self.connection.fail_pending(error)
        return error


async def start_life(plan: SpawnPlan, connection: Connection, on_lost: OnLost) -> Life:
    """Start a process and connect to it. Raises StartFailed; then nothing is left running."""
    process, door = await start_process(plan)
    try:
        await connection.open(door, plan.handshake_timeout)
    except StartFailed:
        if await process.wait(_LAST_WORDS_SECONDS):
            raise await exited_before_ready(process) from None
        raise
    finally:
        if not connection.is_open:
            process.kill()
            await process.exited.wait()
    return Life(connection, process, on_lost)


async def attach_life(
    connection_file: Path | None, handshake_timeout: float, connection: Connection, on_lost: OnLost
) -> Life:
    """Connect to an engine that somebody else started. Raises StartFailed."""
    await connection.open(door_of(find_connection(connection_file)), handshake_timeout)
    return Life(connection, None, on_lost)
