"""One orderly end, however it is asked for: by a host, a signal, or the host's death."""

import asyncio
import contextlib
import functools
import logging
import signal
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


class Shutdown:
    """Collects the requests to end, and carries out the end they ask for."""

    def __init__(self) -> None:
        self._requested = asyncio.Event()
        self._grace_seconds: float | None = None

    def request(self, reason: str, grace_seconds: float = 0.0) -> None:
        """Begin the end. A later request can only shorten the time that running requests have."""
        if self._grace_seconds is None or grace_seconds < self._grace_seconds:
            logger.info("shutting down within %g seconds: %s", grace_seconds, reason)
            self._grace_seconds = grace_seconds
            self._requested.set()

    async def run(self, end: Callable[[float], Awaitable[None]]) -> None:
        """Wait for a request, then await `end(grace_seconds)`; begun anew when the time is shortened."""
        while True:
            await self._requested.wait()
            self._requested.clear()
            ending = asyncio.ensure_future(end(self._grace_seconds or 0.0))
            shortened = asyncio.ensure_future(self._requested.wait())
            try:
                await asyncio.wait({ending, shortened}, return_when=asyncio.FIRST_COMPLETED)
                if ending.done():
                    return await ending
            finally:
                shortened.cancel()
                ending.cancel()

    def listen_to_signals(self) -> None:
        """SIGTERM and SIGINT ask for the end as a host would."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            name = number.name
            try:
                loop.add_signal_handler(number, self.request, f"received {name}")
            except NotImplementedError:
                # Windows has no signal handlers on the loop.
                signal.signal(number, functools.partial(self._from_handler, loop))

    def _from_handler(self, loop: asyncio.AbstractEventLoop, number: int, _frame: object) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self.request, f"received {signal.Signals(number).name}")
