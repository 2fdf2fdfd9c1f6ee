"""How much memory may still be taken, and the check before an allocation.

Linux ends a process that really runs out of memory instead of failing its
allocation, so the limit is compared with what is wanted first.
"""

import os
import sys
from pathlib import Path

from sidecar.errors import OutOfMemory

CGROUP_V2 = Path("/sys/fs/cgroup")
CGROUP_V1 = Path("/sys/fs/cgroup/memory")
MEMINFO = Path("/proc/meminfo")
UNLIMITED = 2**60
"""cgroup v1 writes a huge number for "no limit"."""


def available_bytes() -> int | None:
    """Bytes that can be taken before something is ended for it; None where the system does not say."""
    known = [amount for amount in (_cgroup_available(), _system_available()) if amount is not None]
    return min(known) if known else None


def require_memory(needed_bytes: int, purpose: str) -> None:
    """Raise OutOfMemory when `needed_bytes` are not there; `purpose` completes "not enough memory for …"."""
    available = available_bytes()
    if available is not None and needed_bytes > available:
        raise OutOfMemory(
            f"not enough memory for {purpose}: it needs {needed_bytes / 2**20:,.0f} MiB "
            f"and {available / 2**20:,.0f} MiB are available",
            data={"needed_bytes": needed_bytes, "available_bytes": available},
        )


def _cgroup_available() -> int | None:
    """The tightest limit from this process's own group to the root (a container sees its own as root)."""
    found = [
        amount
        for folder in _cgroup_folders()
        if (amount := _limit_left(folder, "memory.max", "memory.current")) is not None
    ]
    legacy = _limit_left(CGROUP_V1, "memory.limit_in_bytes", "memory.usage_in_bytes")
    return min([*found, *([legacy] if legacy is not None else [])], default=None)


def _cgroup_folders() -> list[Path]:
    try:
        own = next(
            (line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line[:3] == "0::"), ""
        )
    except OSError:
        own = ""
    folder = CGROUP_V2 / own.strip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(CGROUP_V2))]


def _limit_left(folder: Path, limit_name: str, usage_name: str) -> int | None:
    limit, usage = _read_number(folder / limit_name), _read_number(folder / usage_name)
    if limit is None or usage is None or limit >= UNLIMITED:
        return None
    reclaimable = _read_field(folder / "memory.stat", "inactive_file") or 0
    return max(0, limit - usage + reclaimable)


def _system_available() -> int | None:
    if (kibibytes := _read_field(MEMINFO, "MemAvailable:")) is not None:
        return kibibytes * 1024
    if sys.platform == "win32":
        return _windows_available()
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _windows_available() -> int | None:
    """`ullAvailPhys` of GlobalMemoryStatusEx."""
    import ctypes

    class MemoryStatus(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("total", "available", "a", "b", "c", "d", "e")),
        )

    status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
    windows = getattr(ctypes, "windll", None)
    if windows is None or not windows.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.available)


def _read_number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _read_field(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, rest = line.partition(" ")
        if key == name:
            number = rest.split()[0] if rest.split() else ""
            return int(number) if number.isdigit() else None
    return None
