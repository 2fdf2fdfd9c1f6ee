"""How many threads computing may take."""

import os
from pathlib import Path

THREADS_WITHOUT_RESERVE = 4
"""Up to this many cores all are used; above, one stays free so that the app's window is smooth."""
CONTROL_GROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def default_threads() -> int:
    """All physical cores that this process may use up to four, one fewer above."""
    import psutil

    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    cores = max(1, min(cores, _control_group_cores() or cores))
    return cores if cores <= THREADS_WITHOUT_RESERVE else cores - 1


def _control_group_cores() -> int | None:
    """Whole cores that our control group (version 2) may use; None without a limit."""
    try:
        quota, period = CONTROL_GROUP_LIMIT.read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))
