"""Log records as JSON lines on stderr, written by a thread of their own.

A host that never reads our stderr must not stall us: the queue is bounded, and
when it is full records are dropped, counted, and the count is logged as soon as
there is room again. What libraries print becomes a record too, since a print to
a full pipe would wait as well.
"""

import asyncio
import contextlib
import io
import json
import logging
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, TextIO

QUEUE_RECORDS: Final = 2048
TAP_RECORDS: Final = 1024
"""Records that may wait for the event loop of one tap; beyond, that tap misses some."""
MAX_TEXT: Final = 8192
"""Characters kept of a message or a traceback."""

LogSink = Callable[[Mapping[str, object]], None]
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_formatter = logging.Formatter()


class LogStream(logging.Handler):
    """The root logger's one handler."""

    def __init__(self, descriptor: int, level: str) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes | None] = queue.Queue(QUEUE_RECORDS)
        self._dropped = 0
        self._taps: tuple[_Tap, ...] = ()
        self._streams: tuple[TextIO, TextIO] | None = None
        self._writer = threading.Thread(target=self._write, name="log", daemon=True)
        self._writer.start()
        self.set_log_level(level)

    def install(self) -> None:
        """Become what the whole process logs to."""
        logging.getLogger().handlers[:] = [self]

    def capture_prints(self) -> None:
        """Make records of what Python code prints and warns, until `finish`."""
        logging.captureWarnings(True)
        self._streams = (sys.stdout, sys.stderr)
        sys.stdout = PrintedLines("stdout")
        sys.stderr = PrintedLines("stderr")

    def set_log_level(self, level: str) -> None:
        """One of debug, info, warning, error."""
        logging.getLogger().setLevel(_LEVELS[level])

    def tap(self, sink: LogSink) -> Callable[[], None]:
        """Also call `sink` with each record, on the calling loop; returns the function that stops it."""
        tap = _Tap(asyncio.get_running_loop(), sink)
        self._taps = (*self._taps, tap)

        def stop() -> None:
            tap.stopped = True
            self._taps = tuple(other for other in self._taps if other is not tap)

        return stop

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record; never waits."""
        fields = _as_fields(record)
        self._put(fields)
        for tap in self._taps:
            tap.offer(fields)

    def finish(self, timeout: float) -> None:
        """Write what is queued, for `timeout` seconds at most, and end the thread."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=timeout)
        self._writer.join(timeout)
        # Prints go their old way only if somebody reads: at the very end, nothing may wait for a full pipe.
        if self._streams is not None and not self._writer.is_alive():
            sys.stdout, sys.stderr = self._streams
            self._streams = None
            logging.captureWarnings(False)

    def _put(self, fields: Mapping[str, object]) -> None:
        if self._dropped and not self._lines.full():
            count, self._dropped = self._dropped, 0
            self._put(_fields("warning", __name__, f"{count} log records were dropped: stderr is not read"))
        try:
            self._lines.put_nowait(json.dumps(fields, default=str).encode() + b"\n")
        except queue.Full:
            self._dropped += 1

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            # A closed stderr is no reason to stop: the sidecar works on without a log.
            with contextlib.suppress(OSError):
                while line:
                    line = line[os.write(self._descriptor, line) :]


class _Tap:
    """Hands records to one sink on its event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sink: LogSink) -> None:
        self.stopped = False
        self._loop = loop
        self._sink = sink
        self._waiting: deque[Mapping[str, object]] = deque()

    def offer(self, fields: Mapping[str, object]) -> None:
        """Pass a record on, from any thread, unless too many wait already."""
        if len(self._waiting) < TAP_RECORDS:
            self._waiting.append(fields)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        fields = self._waiting.popleft()
        if not self.stopped:
            self._sink(fields)


class PrintedLines(io.TextIOBase):
    """Stands for sys.stdout or sys.stderr: every printed line becomes a record of the logger of that name."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._begun = ""

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Log the lines that are complete now, and the rest once it is."""
        *lines, begun = (self._begun + text).split("\n")
        self._begun = begun[-MAX_TEXT:]
        for line in lines:
            if line.strip():
                self._logger.info("%s", line)
        return len(text)


def _as_fields(record: logging.LogRecord) -> dict[str, object]:
    level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
    extra: dict[str, object] = {}
    if record.exc_info:
        extra["exception"] = _text(_formatter.formatException(record.exc_info)[-MAX_TEXT:])
    return _fields(
        level if level in _LEVELS else "info", record.name, _message(record), record.created, extra
    )


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, LookupError) as error:
        # A library's mistake in a log call must not become an exception in that library.
        return f"{record.msg!r} (its arguments do not fit: {error})"


def _fields(
    level: str,
    logger: str,
    message: str,
    created: float | None = None,
    extra: Mapping[str, object] | None = None,
) -> dict[str, object]:
    return {
        "time": time.time() if created is None else created,
        "level": level,
        "logger": logger,
        "message": _text(message[:MAX_TEXT]),
        "fields": dict(extra or {}),
    }


def _text(text: str) -> str:
    """Text that any peer can read: file names may hold lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")
