"""What goes to the terminal: results on stdout, everything about them on stderr."""

import os
import sys
from typing import TYPE_CHECKING, Self

import msgspec

from sidecar_protocol.common import LoadingEvent
from sidecar_protocol.engine import ModelStats
from sidecar_protocol.models import ModelStatus

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_FILE_WIDTH = 1000
"""Columns of what is no terminal: nothing is wrapped for a program that reads it."""
_UNPRINTABLE = {code: None for code in [*range(0x20), *range(0x7F, 0xA0)] if chr(code) not in "\n\t"}


def out() -> "Console":
    """Rich output to stdout; plain when it is no terminal or NO_COLOR is set."""
    return _console(to_stderr=False)


def err() -> "Console":
    """Rich output to stderr."""
    return _console(to_stderr=True)


def _console(*, to_stderr: bool) -> "Console":
    from rich.console import Console

    stream = sys.stderr if to_stderr else sys.stdout
    return Console(stderr=to_stderr, highlight=False, width=None if stream.isatty() else _FILE_WIDTH)


def note(text: str) -> None:
    """One line on stderr."""
    print(printable(text, sys.stderr.isatty()), file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Text of a model, as it comes, on stdout."""
    sys.stdout.write(printable(text, sys.stdout.isatty()))
    sys.stdout.flush()


def printable(text: str, terminal: bool) -> str:
    """The text without control characters, with which a model or a log could steer a terminal."""
    return text.translate(_UNPRINTABLE) if terminal else text


def json_text(value: object, *, pretty: bool = False) -> str:
    """Plain objects or the protocol's types as JSON; bytes as base64."""
    encoded = msgspec.json.encode(value)
    return (msgspec.json.format(encoded, indent=2) if pretty else encoded).decode()


def print_json(value: object) -> None:
    """One JSON value on stdout: indented for a person, one line for a program."""
    print(json_text(value, pretty=sys.stdout.isatty()), flush=True)


def print_json_line(value: object) -> None:
    """One JSON value on one line of stdout."""
    print(json_text(value), flush=True)


class LoadingBar:
    """Shows on a terminal's stderr how a model's load goes, while it goes; nothing elsewhere."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._silent = not sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, event: LoadingEvent) -> None:
        """How far it is now."""
        if self._silent:
            return
        if self._progress is None:
            console = err()
            if not console.is_interactive:
                self._silent = True
                return
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._progress = Progress(*columns, console=console, transient=True)
            self._progress.add_task("", total=1.0)
            self._progress.start()
        description = f"{printable(event.model, True)}: {event.stage}"
        self._progress.update(self._progress.task_ids[0], description=description, completed=event.fraction)


def leave_stdout() -> None:
    """The reader of stdout is gone: what is still buffered goes nowhere, without a complaint at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def executor_text(status: ModelStatus | ModelStats) -> str:
    """What a model runs on."""
    path = f" with {status.kernel_path}" if status.kernel_path else ""
    return f"{status.executor} on {status.device}{path}"


def bytes_text(count: int) -> str:
    """A number of bytes for a person."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
