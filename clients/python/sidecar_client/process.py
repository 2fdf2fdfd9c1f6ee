"""The engine's process: started with a clean environment, watched, and never left behind.

Plain threads read its pipes and wait for its end, so that neither depends on
the kind of the asyncio loop or on the loop being free.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from sidecar_client.errors import StartFailed
from sidecar_protocol.limits import MAX_READY_LINE_BYTES

_SCRUBBED_PREFIXES = ("LD_", "DYLD_", "PYTHON", "_PYI_")
_TAIL_LINES = 200
_LINE_BYTES = 16 * 2**10

if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NO_WINDOW
else:
    _CREATION_FLAGS = 0


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would change which code a child loads."""
    return {
        name: value for name, value in environment.items() if not name.upper().startswith(_SCRUBBED_PREFIXES)
    }


class SidecarProcess:
    """One running child process. Created on an asyncio loop; `exited` is set there."""

    def __init__(
        self,
        command: Sequence[str],
        spawn_line: bytes,
        *,
        environment: Mapping[str, str],
        on_log: Callable[[str], None] | None,
    ) -> None:
        """Start it and hand it its line. Raises StartFailed when there is nothing to start."""
        self.exited = asyncio.Event()
        self.stderr_ended = asyncio.Event()
        self.exit_status: int | None = None
        self.on_exit: Callable[[], None] | None = None
        self._on_log = on_log
        self._loop = asyncio.get_running_loop()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._first_line: asyncio.Future[bytes] = self._loop.create_future()
        # Guards the process id: it is ours to signal until the process is reaped.
        self._alive = threading.Lock()
        self._reaped = False
        try:
            self._popen = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=scrubbed(environment),
                start_new_session=True,
                creationflags=_CREATION_FLAGS,
            )
        except OSError as error:
            raise StartFailed(f"{command[0]!r} cannot be started: {error.strerror or error}") from error
        for target in (self._read_stdout, self._read_stderr, self._wait):
            threading.Thread(target=target, name=f"sidecar-{target.__name__.strip('_')}", daemon=True).start()
        # A process that died at once is reported with its exit status, not as a broken pipe.
        with contextlib.suppress(BrokenPipeError):
            stdin = self._popen.stdin
            if stdin is not None:
                stdin.write(spawn_line + b"\n")
                stdin.flush()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def stderr_tail(self) -> tuple[str, ...]:
        """The last lines it wrote to stderr."""
        return tuple(self._tail)

    async def first_line(self) -> bytes:
        """The one line it prints on stdout; empty when it ended without."""
        return await asyncio.shield(self._first_line)

    async def wait(self, seconds: float) -> bool:
        """Wait for its end; returns whether it has come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.exited.wait()
        return self.exited.is_set()

    async def end(self, patience: float) -> None:
        """End it and its whole process group: stdin's end and SIGTERM, after `patience` seconds SIGKILL."""
        try:
            self.close_stdin()
            if not self.exited.is_set():
                self._signal_leader()
                await self.wait(patience)
        finally:
            self.kill()
        await self.exited.wait()

    def close_stdin(self) -> None:
        """The end of stdin tells it that its host is gone."""
        with contextlib.suppress(OSError):
            if self._popen.stdin is not None:
                self._popen.stdin.close()

    def kill(self) -> None:
        """SIGKILL to its whole process group, now."""
        with self._alive:
            if not self._reaped:
                self._kill_group()

    def _signal_leader(self) -> None:
        with self._alive, contextlib.suppress(ProcessLookupError):
            if not self._reaped and sys.platform != "win32":
                os.kill(self._popen.pid, signal.SIGTERM)

    def _kill_group(self) -> None:
        # macOS answers EPERM for a group whose only member is a zombie.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._popen.kill()
            else:
                os.killpg(self._popen.pid, signal.SIGKILL)

    def _wait(self) -> None:
        if hasattr(os, "waitid"):
            # WNOWAIT leaves a zombie that keeps the process id ours while its group is killed.
            # A host that ignores SIGCHLD has no zombies to wait for.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)
            with self._alive:
                self._kill_group()
                status = self._popen.wait()
                self._reaped = True
        else:
            status = self._popen.wait()
            with self._alive:
                self._reaped = True
        self._on_loop(self._ended, status)

    def _ended(self, status: int) -> None:
        self.exit_status = status
        self.close_stdin()
        self.exited.set()
        if self.on_exit is not None:
            self.on_exit()

    def _read_stdout(self) -> None:
        with _stream(self._popen.stdout) as stdout:
            line = stdout.readline(MAX_READY_LINE_BYTES + 1)
            self._on_loop(self._first_line.set_result, line)
            while stdout.read(_LINE_BYTES):
                pass

    def _read_stderr(self) -> None:
        with _stream(self._popen.stderr) as stderr:
            while line := stderr.readline(_LINE_BYTES):
                text = line.decode(errors="replace").rstrip("\r\n")
                self._tail.append(text)
                if self._on_log is not None:
                    self._on_loop(self._on_log, text)
        self._on_loop(self.stderr_ended.set)

    def _on_loop(self, function: Callable[..., object], *arguments: object) -> None:
        # The loop may be closed by a program that ends without closing the engine.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)


def _stream(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AssertionError("every pipe is opened")
    return pipe
