"""One orderly end, however it is asked for: by a host, a signal, or the host's death."""

import asyncio
import contextlib
import functools
import logging
import signal

logger = logging.getLogger(__name__)


class Shutdown:
    """Remembers the first request to end and how long running requests may go on."""

    def __init__(self) -> None:
        self._requested = asyncio.Event()
        self.grace_seconds = 0.0

    def request(self, reason: str, grace_seconds: float = 0.0) -> None:
        """Begin the end. A later request changes nothing."""
        if not self._requested.is_set():
            logger.info("shutting down: %s", reason)
            self.grace_seconds = grace_seconds
            self._requested.set()

    async def wait(self) -> None:
        """Until somebody asks for the end."""
        await self._requested.wait()

    def listen_to_signals(self) -> None:
        """SIGTERM and SIGINT ask for the end as a host would."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            name = signal.Signals(number).name
            try:
                loop.add_signal_handler(number, self.request, f"received {name}")
            except NotImplementedError:
                # Windows has no signal handlers on the loop.
                signal.signal(number, functools.partial(self._from_handler, loop))

    def _from_handler(self, loop: asyncio.AbstractEventLoop, number: int, _frame: object) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self.request, f"received {signal.Signals(number).name}")
