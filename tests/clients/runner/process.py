"""One running driver: commands in, lines out, deadlines, and what it leaves behind.

It knows the form of lines (an object with `said`), not what any of them means.
"""

import asyncio
import contextlib
import json
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import psutil

from tests.clients.runner.toolchains import ROOT
from tests.support.processes import assert_gone

DEADLINE_SECONDS = 30.0
_LINE_BYTES = 64 * 2**20
_TOLD_LINES = 40
_SHOWN_CHARACTERS = 400

ValueType = TypeVar("ValueType")


@dataclass(frozen=True, slots=True)
class Said:
    """One line of a driver. `at` is when it came, in monotonic seconds."""

    word: str
    fields: dict[str, Any]
    at: float

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


Listener = Callable[[Said], None]
"""Raises AssertionError for a line that must not come."""


class DriverProcess:
    """A driver, made by `start`. `end` closes its stdin, `kill` is the end without a word."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = psutil.Process(process.pid)
        self._process = process
        self._stdin = process.stdin
        self._listeners: list[Listener] = []
        self._changed = asyncio.Event()
        self._lines: deque[str] = deque(maxlen=_TOLD_LINES)
        self._stderr: deque[str] = deque(maxlen=_TOLD_LINES)
        self._fault: str | None = None
        self._readers = [
            asyncio.ensure_future(self._read_stdout(process.stdout)),
            asyncio.ensure_future(self._read_stderr(process.stderr)),
        ]

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        """Start it in the project's folder, in a process group of its own."""
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_LINE_BYTES,
                cwd=ROOT,
                start_new_session=True,
            )
        )

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    @property
    def children(self) -> list[psutil.Process]:
        """Every process below it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return self.process.children(recursive=True)
        return []

    async def child(self) -> None:
        """Wait until it has started a process."""

        def look() -> None:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while not self.children:
                assert time.monotonic() < deadline, "it has started nothing"

        await asyncio.to_thread(look)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with each line from now on."""
        self._listeners.append(listener)

    def stop_listening(self, listener: Listener) -> None:
        """The opposite."""
        self._listeners.remove(listener)

    def tell(self, **command: object) -> None:
        """Send a command; nothing waits for what becomes of it."""
        line = json.dumps(command)
        self._lines.append(f"→ {line[:_SHOWN_CHARACTERS]}")
        self._stdin.write(line.encode() + b"\n")

    async def wait_for(
        self, find: Callable[[], ValueType | None], what: str, seconds: float = DEADLINE_SECONDS
    ) -> ValueType:
        """Look again after every line until `find` finds. Raises AssertionError with all that is known."""
        try:
            async with asyncio.timeout(seconds):
                while (found := find()) is None:
                    self.check()
                    self._changed.clear()
                    await self._changed.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"no {what} within {seconds:g} s\n{self.report()}") from None

    def check(self) -> None:
        """Raises AssertionError when it said what it must not, or ended by itself."""
        assert self._fault is None, f"{self._fault}\n{self.report()}"

    async def end(self) -> None:
        """Close its stdin: it must end well and soon, and nothing of it may be left."""
        left = self.children
        self._stdin.close()
        try:
            await asyncio.to_thread(assert_gone, [self.process], DEADLINE_SECONDS)
            await asyncio.to_thread(assert_gone, left)
        finally:
            for process in [self.process, *left]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            status = await self._ended()
        assert status == 0, f"the driver exited with {status}\n{self.report()}"

    def kill(self) -> None:
        """End it as a crash does."""
        if self.is_running:
            self._process.send_signal(signal.SIGKILL)

    async def kill_and_look(self) -> None:
        """End it as a crash does; what it had started must be gone within two seconds."""
        left = self.children
        assert left, "it had started nothing"
        self.kill()
        await asyncio.to_thread(assert_gone, left)
        await self._ended()

    async def _ended(self) -> int:
        status = await self._process.wait()
        await asyncio.gather(*self._readers)
        return status

    def report(self) -> str:
        """The last lines in both directions, and of stderr."""
        return "\n".join(["the driver's last lines:", *self._lines, "its stderr:", *self._stderr])

    async def _read_stdout(self, stdout: asyncio.StreamReader) -> None:
        while line := await stdout.readline():
            at = time.monotonic()
            self._lines.append(f"← {line.decode(errors='replace').rstrip()[:_SHOWN_CHARACTERS]}")
            try:
                self._take(line, at)
            except AssertionError as error:
                self._fault = self._fault or str(error)
            self._changed.set()
        self._fault = self._fault or "the driver's output ended"
        self._changed.set()

    def _take(self, line: bytes, at: float) -> None:
        try:
            fields = json.loads(line)
            said = Said(fields.pop("said"), fields, at)
        except (ValueError, KeyError, AttributeError) as error:
            raise AssertionError(f"no line of the language: {line[:200]!r} ({error!r})") from error
        assert said.word != "bad_command", f"not understood: {said['line']}: {said['why']}"
        for listener in tuple(self._listeners):
            listener(said)

    async def _read_stderr(self, stderr: asyncio.StreamReader) -> None:
        while line := await stderr.readline():
            self._stderr.append(line.decode(errors="replace").rstrip())
