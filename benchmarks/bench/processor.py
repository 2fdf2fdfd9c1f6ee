"""Processor time of another process, by thread where the system tells."""

from collections.abc import Callable
from pathlib import Path

import psutil

ZEROMQ_THREADS = "ZMQbg"
"""What the names of libzmq's own threads begin with."""


def processor_seconds(pid: int) -> float:
    """Of all threads of the process that live."""
    return _by_thread(pid, lambda thread: True)


def transport_seconds(pid: int) -> float:
    """Of a sidecar's event loop, which is its main thread, and of ZeroMQ's threads. Linux alone tells."""
    return _by_thread(pid, lambda thread: thread.name == str(pid) or _name(thread).startswith(ZEROMQ_THREADS))


def tells_threads() -> bool:
    """Whether this system tells the time of single threads."""
    return Path("/proc/self/schedstat").exists()


def _by_thread(pid: int, wanted: Callable[[Path], bool]) -> float:
    if not tells_threads():
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system
    # In nanoseconds; the usual counters tick every 10 ms.
    threads = Path(f"/proc/{pid}/task").iterdir()
    return (
        sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads if wanted(thread)) / 1e9
    )


def _name(thread: Path) -> str:
    return (thread / "comm").read_text()
