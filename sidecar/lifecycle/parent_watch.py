"""Ends the sidecar when its host is gone.

Two signs, whichever comes first: stdin was closed, or the host's process has
ended (a pidfd where the system has them, elsewhere psutil, which tells a process
from a later one with the same id). A silent or stopped host is alive.

The signs are waited for on threads, not on the event loop: a loop that is stuck
must not keep an orphan alive.
"""

import asyncio
import contextlib
import os
import select
import threading
from collections.abc import Callable
from typing import Final

from sidecar.lifecycle.stdin_line import StdinWatch

ORPHAN_SECONDS: Final = 1.5
"""After the host's death an orderly end gets this long; then the process leaves whatever it is doing."""
EXIT_ORPHANED: Final = 1


class ParentWatch:
    """Calls `gone(reason)` once, on the loop it was started on.

    `leave` is called when the process still exists `orphan_seconds` later.
    """

    def __init__(
        self,
        host_pid: int,
        stdin: StdinWatch,
        gone: Callable[[str], None],
        *,
        leave: Callable[[], None] = lambda: os._exit(EXIT_ORPHANED),
        orphan_seconds: float = ORPHAN_SECONDS,
    ) -> None:
        self._host_pid = host_pid
        self._stdin = stdin
        self._gone = gone
        self._leave = leave
        self._orphan_seconds = orphan_seconds
        self._told = threading.Lock()

    def start(self) -> None:
        """Begin to watch."""
        loop = asyncio.get_running_loop()
        self._stdin.on_end(lambda: self._tell(loop, "stdin was closed"))
        threading.Thread(target=self._watch_process, args=(loop,), name="host", daemon=True).start()

    def stop(self) -> None:
        """Tell nobody from now on. A process that has been told to end is still made to."""
        self._told.acquire(blocking=False)

    def _watch_process(self, loop: asyncio.AbstractEventLoop) -> None:
        wait_for_exit(self._host_pid)
        self._tell(loop, "the host's process has ended")

    def _tell(self, loop: asyncio.AbstractEventLoop, reason: str) -> None:
        if not self._told.acquire(blocking=False):
            return
        deadline = threading.Timer(self._orphan_seconds, self._leave)
        deadline.daemon = True
        deadline.start()
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending already
            loop.call_soon_threadsafe(self._gone, reason)


def wait_for_exit(pid: int) -> None:
    """Return when the process has ended, at once when there is none. Blocks; it need not be our child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait()
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
    finally:
        os.close(descriptor)
