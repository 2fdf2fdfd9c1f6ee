"""The host's end of our stdin: one line at the start, and its closing as the sign that the host is gone."""

import os
import queue
import threading
from collections.abc import Callable

from sidecar.errors import InvalidMessage

_CHUNK_BYTES = 4096


class StdinWatch:
    """Reads a descriptor on a thread of its own, since no system lets every kind of stdin be polled."""

    def __init__(self, descriptor: int, *, limit: int) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self._line: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._on_end: Callable[[], None] | None = None
        threading.Thread(target=self._run, name="stdin", daemon=True).start()

    def first_line(self, timeout: float) -> bytes:
        """The first line without its newline. Raises InvalidMessage when none comes in `timeout` seconds."""
        try:
            line = self._line.get(timeout=timeout)
        except queue.Empty:
            raise InvalidMessage(
                f"no line came on stdin within {timeout:g} seconds; the host writes one JSON line with "
                "protocols, client_key, host_pid and options"
            ) from None
        if line is None:
            raise InvalidMessage("stdin was closed before the host's line was complete")
        if len(line) > self._limit:
            raise InvalidMessage(f"the line on stdin is longer than {self._limit} bytes")
        return line

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call back, on the reading thread, when stdin is closed; at once if it is closed already."""
        with self._lock:
            self._on_end = callback
            ended = self._ended.is_set()
        if ended:
            callback()

    def _run(self) -> None:
        begun = b""
        complete = False
        while chunk := self._read():
            if complete:
                continue
            begun += chunk
            line, newline, _ = begun.partition(b"\n")
            if newline or len(begun) > self._limit:
                complete = True
                self._line.put(line)
        if not complete:
            self._line.put(None)
        with self._lock:
            self._ended.set()
            callback = self._on_end
        if callback is not None:
            callback()

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _CHUNK_BYTES)
        except OSError:
            return b""
