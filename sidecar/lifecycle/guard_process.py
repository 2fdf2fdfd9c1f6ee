"""The guard's own process: outlives the sidecar by a moment and ends the process groups it was told of.

Started as `sidecar --guard` by `guard.py`, in a session of its own, so that whoever kills the
sidecar's process group does not meet it. Only the sidecar holds the other end of its stdin: the
end of stdin says that the sidecar is gone, in whatever way. Lines on stdin:

    add GROUP START      a process group, and when its leader was started
    remove GROUP         it has ended

It knows nothing else of the sidecar and imports next to nothing, not even typing or pathlib: all it
does is wait.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping

TERMINATE_SECONDS = 0.5
"""What is asked to end gets this long; then it is killed."""
UNKNOWN_START = "-"
_POLL_SECONDS = 0.01
_CHUNK_BYTES = 65536


def run_guard() -> int:
    """Wait for the end of stdin, then end the groups that are left. Returns the exit status."""
    # Those who end a whole session or tree by signals reach the sidecar too; the end of stdin follows.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_groups(read_groups(0))
    return 0


def read_groups(descriptor: int) -> dict[int, str]:
    """The groups left at the end of the descriptor, each with the start of its leader."""
    groups: dict[int, str] = {}
    begun = b""
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        *lines, begun = (begun + chunk).split(b"\n")
        for line in lines:
            match line.decode("ascii").split():
                case ["add", group, start]:
                    groups[int(group)] = start
                case ["remove", group]:
                    groups.pop(int(group), None)
    return groups


def end_groups(groups: Mapping[int, str]) -> None:
    """SIGTERM to every process of the groups, SIGKILL to those that are left TERMINATE_SECONDS later."""
    left = [group for group, start in groups.items() if _signal(group, start, signal.SIGTERM)]
    deadline = time.monotonic() + TERMINATE_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        left = [group for group in left if _signal(group, groups[group], 0)]
    for group in left:
        _signal(group, groups[group], signal.SIGKILL)


def start_of(pid: int) -> str:
    """When a process was started, to tell it from a later one with its id; UNKNOWN_START when there is none.

    One word that is the same whoever asks; a zombie has one too.
    """
    if sys.platform != "linux":
        import psutil

        try:
            return repr(psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return UNKNOWN_START
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return UNKNOWN_START
    try:
        status = os.read(descriptor, _CHUNK_BYTES)
    except ProcessLookupError:
        return UNKNOWN_START
    finally:
        os.close(descriptor)
    # The name, in parentheses, may hold anything; the start is the 20th field after it.
    return status.rpartition(b")")[2].split()[19].decode("ascii")


def _signal(group: int, start: str, number: int) -> bool:
    """Send a signal to a group, unless the id is another's by now; returns whether the group is there."""
    # A system gives no process the id of a group that has members: without a leader it is still ours.
    if start_of(group) not in (start, UNKNOWN_START):
        return False
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # What macOS says of a group of zombies, and every system of a process that became another user's.
        return True
    return True
