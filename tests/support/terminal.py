"""A program on a pseudo-terminal, driven as a person would drive it."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Self

DEADLINE_SECONDS = 30.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What the program prints is kept; `expect` waits for a text that comes after the last one found."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            list(command),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**environment, "TERM": "dumb"},
            start_new_session=True,
        )
        os.close(slave)
        self.position = 0
        """Where in `printed` the last text that was waited for ends."""
        self._printed = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    @property
    def printed(self) -> str:
        """Everything so far, without escape sequences."""
        return _ESCAPES.sub("", self._printed).replace("\r\n", "\n")

    def expect(self, text: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until the program has printed this."""
        deadline = time.monotonic() + seconds
        while (found := self.printed.find(text, self.position)) < 0:
            assert self._read_more(deadline), f"{text!r} did not come; printed: {self.printed!r}"
        self.position = found + len(text)

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._master, line.encode() + b"\n")

    def leave_with_ctrl_d(self) -> int:
        """Press it as a person would, again when nothing happens; returns the exit code.

        A terminal swallows it while it changes its mode.
        """
        for _ in range(10):
            os.write(self._master, b"\x04")
            with contextlib.suppress(AssertionError):
                return self.wait(DEADLINE_SECONDS / 10)
        return self.wait()

    def press_ctrl_c(self) -> None:
        """What a terminal does for Ctrl-C; the program's group is the foreground's only one."""
        os.killpg(self.process.pid, signal.SIGINT)

    def press_ctrl_c_until(self, text: str) -> None:
        """Press it as a person would: again when nothing happens.

        Python's input() misses a signal that comes between its prompt and its read.
        """
        for _ in range(10):
            self.press_ctrl_c()
            with contextlib.suppress(AssertionError):
                self.expect(text, DEADLINE_SECONDS / 10)
                return
        self.expect(text, 0)

    def wait(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Read to the end; returns the exit code."""
        deadline = time.monotonic() + seconds
        while self._read_more(deadline):
            pass
        return self.process.wait(DEADLINE_SECONDS)

    def _read_more(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise AssertionError(f"nothing more came in time; printed: {self.printed!r}")
        try:
            more = os.read(self._master, 65536)
        except OSError:
            # Linux answers EIO when the program's side is closed.
            return False
        self._printed += more.decode(errors="replace")
        return bool(more)
