"""Runs coroutines on a private asyncio loop in a thread of its own, for callers that have none."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

ValueType = TypeVar("ValueType")


class Portal:
    """A loop in a thread. Every method may be called from any thread but the loop's own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="sidecar-client", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, ValueType]) -> ValueType:
        """Wait for a coroutine; leaving the wait, for instance by Ctrl-C, cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def call(self, function: Callable[[], ValueType]) -> ValueType:
        """Call a plain function on the loop."""

        async def run() -> ValueType:
            return function()

        return self.run(run())

    def close(self) -> None:
        """Cancel what still runs, and end loop and thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()
