"""Making a model ready for its executor: from the cache, or by a converter process.

The converter is a process of its own, so that its memory ends with it, a crash
costs one load, and it can be stopped at once. It ends by itself when its stdin
closes, however this process dies.
"""

import json
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from sidecar.config import LibrarySettings
from sidecar.errors import Cancelled, ModelLoadFailed, OutOfMemory, SidecarError, Unsupported
from sidecar.executors.base import ConversionProgress, ConvertedModel, ExecutorKind
from sidecar.library.converted_cache import ConversionKey, ConvertedCache
from sidecar.library.identity import content_hash, marks_of
from sidecar.models.source import ModelSource
from sidecar.own_program import own_command, scrubbed_environment

CONVERTED_FOLDER = "converted"
MAX_LINE_BYTES = 64 * 1024
_POLL_SECONDS = 0.05
_STDERR_LINES = 20
_ERRORS: dict[str, type[SidecarError]] = {
    error.code: error for error in (Unsupported, OutOfMemory, ModelLoadFailed)
}


def converted_cache(settings: LibrarySettings) -> ConvertedCache:
    """The cache of converted models that these settings mean."""
    return ConvertedCache(settings.cache_dir / CONVERTED_FOLDER, settings.cache_limit_bytes)


def prepare_model(
    source: ModelSource,
    kind: ExecutorKind,
    quantization: str,
    settings: LibrarySettings,
    progress: ConversionProgress,
    cancelled: Callable[[], bool],
) -> ConvertedModel:
    """The model as executors of `kind` want it, converted now unless it already is.

    Two processes that ask for the same one convert it once. Raises Cancelled
    soon after `cancelled()` has become true, what the executor raises
    (Unsupported, OutOfMemory), ModelLoadFailed when the converter fails. An
    exception of `progress` ends the converter and passes on.
    """
    if not kind.needs_conversion(source, quantization):
        return ConvertedModel(source, quantization)
    marks = _marks(source.path)
    content = content_hash(source.path, settings.cache_dir, cancelled)
    key = ConversionKey(content, kind.name, kind.layout_version, quantization)
    cache = converted_cache(settings)
    folder = cache.find(key)
    if folder is None:
        try:
            with cache.lock(key, cancelled):
                folder = cache.find(key) or cache.add(
                    key, str(source.path), lambda target: _convert(source, key, target, progress, cancelled)
                )
        except OSError as error:
            raise ModelLoadFailed(
                f"{settings.cache_dir}: the converted model cannot be kept: {error.strerror}"
            ) from error
        if _marks(source.path) != marks:
            cache.remove(key.digest)
            raise ModelLoadFailed(f"{source.path}: was changed while it was converted; load it again")
    return ConvertedModel(source, quantization, folder)


def converter_command() -> list[str]:
    """How the converter is started."""
    return own_command("--convert")


def _marks(path: Path) -> object:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [marks_of(file) for file in files]


def _convert(
    source: ModelSource,
    key: ConversionKey,
    target: Path,
    progress: ConversionProgress,
    cancelled: Callable[[], bool],
) -> None:
    job = {
        "path": str(source.path.absolute()),
        "executor": key.executor,
        "quantization": key.quantization,
        "target": str(target.absolute()),
    }
    process = subprocess.Popen(
        converter_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=scrubbed_environment(),
        cwd=target,
    )
    with _Converter(process) as converter:
        converter.send(job)
        while (message := converter.receive(cancelled)) is not None:
            if "error" in message:
                raise _error_of(message)
            fraction, stage = message.get("progress"), message.get("stage")
            if isinstance(fraction, int | float) and isinstance(stage, str):
                progress(float(fraction), stage)
        converter.check_finished()


class _Converter:
    """A running converter. Leaving the context ends it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._last_words: deque[bytes] = deque(maxlen=_STDERR_LINES)
        self._threads = [
            threading.Thread(target=self._read_stdout, name="converter-stdout", daemon=True),
            threading.Thread(target=self._read_stderr, name="converter-stderr", daemon=True),
        ]

    def __enter__(self) -> "_Converter":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def send(self, job: dict[str, str]) -> None:
        """Tell it what to do; its stdin stays open."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self.check_finished()

    def receive(self, cancelled: Callable[[], bool]) -> dict[str, object] | None:
        """Its next message; None when there are no more. Raises Cancelled."""
        while True:
            if cancelled():
                raise Cancelled("converting the model was cancelled")
            try:
                line = self._lines.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if line is None:
                return None
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                return message

    def check_finished(self) -> None:
        """Raise ModelLoadFailed unless it ended well."""
        status = self._process.wait()
        self._threads[1].join()
        if status != 0:
            words = b"".join(self._last_words).decode("utf-8", "replace").strip()
            last = words.splitlines()[-1] if words else "it said nothing"
            raise ModelLoadFailed(
                f"the converter ended with status {status}: {last}", data={"status": status, "stderr": words}
            )

    def _read_stdout(self) -> None:
        for line in _lines(self._process.stdout):
            self._lines.put(line)
        self._lines.put(None)

    def _read_stderr(self) -> None:
        self._last_words.extend(_lines(self._process.stderr))


def _lines(stream: IO[bytes] | None) -> Iterator[bytes]:
    """The lines of a stream, long ones in pieces of MAX_LINE_BYTES."""
    while stream is not None and (line := stream.readline(MAX_LINE_BYTES)):
        yield line


def _error_of(message: dict[str, object]) -> SidecarError:
    error = _ERRORS.get(str(message["error"]), ModelLoadFailed)
    return error(str(message.get("message", "")))
