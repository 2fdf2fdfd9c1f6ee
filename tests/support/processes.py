"""The end of processes that are not the test's own children."""

import contextlib
import os
import select
import time
from collections.abc import Iterable

import psutil

GONE_SECONDS = 2.0


def assert_gone(processes: Iterable[psutil.Process], seconds: float = GONE_SECONDS) -> None:
    """All of them have ended within `seconds`, together; a zombie has ended."""
    deadline = time.monotonic() + seconds
    alive = [process for process in processes if not _ended(process, deadline)]
    assert not alive, f"still running after {seconds:g} s: {alive}"


def _ended(process: psutil.Process, deadline: float) -> bool:
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)
        try:
            if not process.is_running():
                return True
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
        finally:
            os.close(descriptor)
    return True
