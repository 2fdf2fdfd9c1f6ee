"""How much memory may still be taken, and the check before an allocation.

Linux ends a process that really runs out of memory instead of failing its
allocation, so what is wanted is compared with what the machine and our control
group have to spare.
"""

from pathlib import Path

from sidecar.errors import OutOfMemory

CONTROL_GROUP_ROOT = Path("/sys/fs/cgroup")
CONTROL_GROUP_FILE = Path("/proc/self/cgroup")


def available_memory() -> int:
    """Bytes that can be taken without pushing anything out: of the machine and of our control group."""
    import psutil

    return min([psutil.virtual_memory().available, *_control_group_spare()])


def require_memory(needed_bytes: int, purpose: str) -> None:
    """Raise OutOfMemory when `needed_bytes` are not there; `purpose` completes "not enough memory for …"."""
    available = available_memory()
    if needed_bytes > available:
        raise OutOfMemory(
            f"not enough memory for {purpose}: it needs {mebibytes(needed_bytes)} "
            f"and {mebibytes(available)} are available",
            data={"needed_bytes": needed_bytes, "available_bytes": available},
        )


def mebibytes(size: int) -> str:
    """A size for people."""
    return f"{size / 2**20:,.0f} MiB"


def _control_group_spare() -> list[int]:
    """What each of our control groups (version 2) may still take; memory it can reclaim counts as free."""
    try:
        lines = CONTROL_GROUP_FILE.read_text().splitlines()
    except OSError:
        return []
    own = next((Path(line[4:]) for line in lines if line.startswith("0::/")), Path())
    # A group outside of our namespace shows as "..", which is nothing to look into.
    groups = [own, *own.parents] if ".." not in own.parts else [Path()]
    return [spare for group in groups if (spare := _spare(CONTROL_GROUP_ROOT / group)) is not None]


def _spare(group: Path) -> int | None:
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    if limit == "max":
        return None
    return max(0, int(limit) - used + int(statistics.get("inactive_file", 0)))
