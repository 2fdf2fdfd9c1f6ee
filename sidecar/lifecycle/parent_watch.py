"""Ends the sidecar when its host is gone.

Two signs, whichever comes first: stdin was closed, or the host's process has
ended (a pidfd where the system has them, elsewhere psutil, which tells a process
from a later one with the same id). A silent or stopped host is alive.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable

from sidecar.lifecycle.stdin_line import StdinWatch


class ParentWatch:
    """Calls `gone` once, on the loop it was started on."""

    def __init__(self, host_pid: int, stdin: StdinWatch, gone: Callable[[str], None]) -> None:
        self._host_pid = host_pid
        self._stdin = stdin
        self._gone = gone
        self._pidfd: int | None = None
        self._told = False

    def start(self) -> None:
        """Begin to watch."""
        loop = asyncio.get_running_loop()
        self._stdin.on_end(lambda: _call_if_running(loop, lambda: self._tell("stdin was closed")))
        try:
            self._pidfd = os.pidfd_open(self._host_pid)
        except ProcessLookupError:
            loop.call_soon(self._tell, "the host's process has ended")
        except (AttributeError, OSError):
            threading.Thread(target=self._wait_for_host, args=(loop,), name="host", daemon=True).start()
        else:
            loop.add_reader(self._pidfd, self._tell, "the host's process has ended")

    def stop(self) -> None:
        """Watch no more."""
        self._told = True
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def _tell(self, reason: str) -> None:
        if not self._told:
            self.stop()
            self._gone(reason)

    def _wait_for_host(self, loop: asyncio.AbstractEventLoop) -> None:
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(self._host_pid).wait()
        _call_if_running(loop, lambda: self._tell("the host's process has ended"))


def _call_if_running(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)
