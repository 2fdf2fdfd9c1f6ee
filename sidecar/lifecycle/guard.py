"""The sidecar's side of the guard: child processes that must not outlive it, however it ends.

A sidecar that is killed can end nobody. The guard is a process that does it in its stead: it
reads from a pipe that only the sidecar can write to, and the end of the pipe is its sign
(`guard_process.py`). On Windows the system does the same for a job (`guard_windows.py`).
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from sidecar.lifecycle.guard_process import TERMINATE_SECONDS, start_of
from sidecar.own_program import own_command, scrubbed_environment
from sidecar.ports import ChildRegistry

logger = logging.getLogger(__name__)

MAX_RESTARTS: Final = 5
"""A guard that is killed more often than this within RESTART_SECONDS is not started again by itself."""
RESTART_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = TERMINATE_SECONDS + 1.0


class ProcessGuard(ChildRegistry, Protocol):
    """A ChildRegistry that this process can end."""

    def close(self) -> None:
        """End it, and with it what is still registered."""


class Guard:
    """Kills registered process groups when this process dies in any way. Implements ChildRegistry.

    A guard process exists while a group is registered; one that is killed itself is started
    again. A child of which this process is killed before it could register it is not covered:
    register at once. Safe to call from any thread.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = list(command or own_command("--guard"))
        self._lock = threading.Lock()
        self._groups: dict[int, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._watchers: dict[subprocess.Popen[bytes], threading.Thread] = {}
        self._deaths: deque[float] = deque(maxlen=MAX_RESTARTS)

    @property
    def pid(self) -> int | None:
        """The guard's process, while there is one."""
        process = self._process
        return process.pid if process is not None else None

    def register(self, process_group: int) -> None:
        """Guard a group whose leader is a child of ours.

        Nobody has waited for that child yet: until then the id is its own. Raises
        ValueError for a group that would take others with it. Where no guard can
        be started, which the log tells, children are ended by an orderly end alone.
        """
        if process_group <= 1 or process_group == os.getpgrp():
            raise ValueError(f"{process_group} is no process group of a child")
        with self._lock:
            start = self._groups[process_group] = start_of(process_group)
            if self._process is None:
                self._start()
            else:
                self._tell(_line("add", process_group, start))

    def release(self, process_group: int) -> None:
        """Forget a group of which nothing is left. The last one's release ends the guard."""
        with self._lock:
            if self._groups.pop(process_group, None) is None:
                return
            self._tell(_line("remove", process_group))
            if not self._groups:
                self._dismiss()

    def close(self) -> None:
        """End the guard, which first kills what is still registered; waits up to CLOSE_SECONDS for that."""
        with self._lock:
            self._groups.clear()
            self._dismiss()
            watchers = dict(self._watchers)
        deadline = time.monotonic() + CLOSE_SECONDS
        for process, watcher in watchers.items():
            watcher.join(max(0.0, deadline - time.monotonic()))
            process.kill()
            watcher.join()

    def _start(self) -> None:
        try:
            process, self._pipe = self._spawn()
        except OSError as error:
            logger.error("the guard cannot be started: %s; a kill would leave %s", error, self._names())
            return
        self._process = process
        watcher = threading.Thread(target=self._watch, args=(process,), name="guard", daemon=True)
        self._watchers[process] = watcher
        watcher.start()

    def _spawn(self) -> "tuple[subprocess.Popen[bytes], int]":
        reader, writer = os.pipe()
        try:
            # A guard that is stopped must not stop us.
            os.set_blocking(writer, False)
            # It is told before it runs: should we die in between, it knows all the same.
            os.write(writer, b"".join(_line("add", group, start) for group, start in self._groups.items()))
            # Its own session: a signal to our process group does not reach it. Our stderr would keep
            # the host waiting for its end.
            process = subprocess.Popen(
                self._command,
                stdin=reader,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=scrubbed_environment(),
                cwd="/",
                start_new_session=True,
            )
        except OSError:
            os.close(writer)
            raise
        finally:
            os.close(reader)
        return process, writer

    def _tell(self, line: bytes) -> None:
        if self._process is None:
            return
        try:
            os.write(self._pipe, line)
        except BrokenPipeError:
            # It was killed; the next one is told everything.
            return
        except BlockingIOError:
            # It does not read; the next one will.
            self._process.kill()

    def _dismiss(self) -> None:
        if self._process is not None:
            self._process = None
            os.close(self._pipe)

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        status = process.wait()
        with self._lock:
            del self._watchers[process]
            if self._process is not process:
                return
            self._dismiss()
            now = time.monotonic()
            if len(self._deaths) == MAX_RESTARTS and now - self._deaths[0] < RESTART_SECONDS:
                logger.error("the guard ended again (%d); a kill would leave %s", status, self._names())
                return
            self._deaths.append(now)
            logger.warning("the guard ended (%d); another is started", status)
            self._start()

    def _names(self) -> str:
        return f"process groups {', '.join(map(str, self._groups))}"


def process_guard() -> ProcessGuard:
    """The guard of this system."""
    if sys.platform == "win32":
        from sidecar.lifecycle.guard_windows import JobGuard

        return JobGuard()
    return Guard()


def _line(word: str, group: int, *start: str) -> bytes:
    return f"{' '.join((word, str(group), *start))}\n".encode("ascii")
