"""Tells a loop when a descriptor becomes readable, also a loop that cannot watch one (Windows' proactor)."""

import asyncio
import select
import socket
import threading
from collections.abc import Callable


def watch_readable(
    loop: asyncio.AbstractEventLoop, descriptor: int, callback: Callable[[], None]
) -> Callable[[], None]:
    """Call `callback` on the loop whenever `descriptor` is readable; returns what ends that."""
    try:
        loop.add_reader(descriptor, callback)
    except NotImplementedError:
        return _WatchThread(loop, descriptor, callback).stop

    def stop() -> None:
        loop.remove_reader(descriptor)

    return stop


class _WatchThread:
    """Waits for the descriptor in a thread of its own, which stands still while the callback runs."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, descriptor: int, callback: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._descriptor = descriptor
        self._callback = callback
        self._go_on = threading.Semaphore(0)
        self._stopped = threading.Event()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="sidecar-readiness", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Call no more. The descriptor may be closed afterwards."""
        self._stopped.set()
        self._go_on.release()
        self._wake_writer.send(b"\0")
        self._thread.join()
        self._wake_reader.close()
        self._wake_writer.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            select.select([self._descriptor, self._wake_reader.fileno()], [], [])
            if self._stopped.is_set():
                return
            # The loop may be closed by a program that ends without closing the engine.
            try:
                self._loop.call_soon_threadsafe(self._call)
            except RuntimeError:
                return
            self._go_on.acquire()

    def _call(self) -> None:
        if not self._stopped.is_set():
            try:
                self._callback()
            finally:
                self._go_on.release()
