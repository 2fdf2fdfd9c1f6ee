"""Log records as JSON lines on stderr, written by a thread of their own.

A host that never reads our stderr must not stall us: the queue is bounded, and
when it is full records are dropped, counted, and the count is logged as soon as
there is room again.
"""

import asyncio
import contextlib
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping

QUEUE_RECORDS = 2048
MAX_TEXT = 8192
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
        self._taps: list[tuple[asyncio.AbstractEventLoop, LogSink]] = []
        self._writer = threading.Thread(target=self._write, name="log", daemon=True)
        self._writer.start()
        self.set_log_level(level)

    def install(self) -> None:
        """Become what the whole process logs to."""
        logging.getLogger().handlers[:] = [self]

    def set_log_level(self, level: str) -> None:
        """One of debug, info, warning, error."""
        logging.getLogger().setLevel(_LEVELS[level])

    def tap(self, sink: LogSink) -> Callable[[], None]:
        """Also call `sink` with each record, on the calling loop; returns the function that stops it."""
        entry = (asyncio.get_running_loop(), sink)
        self._taps.append(entry)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                self._taps.remove(entry)

        return stop

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record; never waits."""
        fields = _as_fields(record)
        self._put(fields)
        for loop, sink in tuple(self._taps):
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(sink, fields)

    def finish(self, timeout: float) -> None:
        """Write what is queued, for `timeout` seconds at most, and end the thread."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=timeout)
        self._writer.join(timeout)

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
                os.write(self._descriptor, line)


def _as_fields(record: logging.LogRecord) -> dict[str, object]:
    level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
    extra: dict[str, object] = {}
    if record.exc_info:
        extra["exception"] = _formatter.formatException(record.exc_info)[-MAX_TEXT:]
    message = record.getMessage()
    return _fields(
        level if level in _LEVELS else "info", record.name, message[:MAX_TEXT], record.created, extra
    )


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
        "message": message,
        "fields": dict(extra or {}),
    }
