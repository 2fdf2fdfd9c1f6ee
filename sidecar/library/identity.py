"""Which model a file is, by content: a hash that is computed once and found again by the file's own marks."""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from sidecar.errors import Cancelled, ModelLoadFailed
from sidecar.library.files import write_atomically

INDEX_NAME = "identities.json"
MAX_INDEX_BYTES = 4 * 2**20
MAX_INDEX_ENTRIES = 2000
_CHUNK = 4 * 2**20
_RECENT_NANOSECONDS = 2 * 10**9

Marks = tuple[int, int, int]
"""Size, modification time in nanoseconds, inode."""


def content_hash(path: Path, cache_dir: Path, cancelled: Callable[[], bool] = lambda: False) -> str:
    """A hash (hexadecimal blake2b, 20 bytes) of a model file's content, or of a folder's config and weights.

    Files that the index in `cache_dir` knows unchanged are not read. Raises
    ModelLoadFailed when a file cannot be read, Cancelled soon after
    `cancelled()` has become true.
    """
    index = _Index(cache_dir / INDEX_NAME)
    files = _model_files(path) if path.is_dir() else [path]
    try:
        hashes = [_file_hash(file, index, cancelled) for file in files]
    except OSError as error:
        raise ModelLoadFailed(f"{error.filename}: cannot be read: {error.strerror}") from error
    index.save()
    if not path.is_dir():
        return hashes[0]
    whole = hashlib.blake2b(digest_size=20)
    for file, digest in zip(files, hashes, strict=True):
        whole.update(f"{file.name}\0{digest}\n".encode())
    return whole.hexdigest()


def marks_of(path: Path) -> Marks:
    """What tells a changed file from an unchanged one without reading it."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _model_files(folder: Path) -> list[Path]:
    return sorted([folder / "config.json", *folder.glob("*.safetensors*")])


def _file_hash(file: Path, index: "_Index", cancelled: Callable[[], bool]) -> str:
    marks = marks_of(file)
    known = index.find(file, marks)
    if known is not None:
        return known
    digest = hashlib.blake2b(digest_size=20)
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            if cancelled():
                raise Cancelled(f"reading {file} was cancelled")
            digest.update(chunk)
    # A file written to just now may change again within the clock's tick, with the same marks.
    is_settled = time.time_ns() - marks[1] > _RECENT_NANOSECONDS
    if is_settled and marks_of(file) == marks:
        index.add(file, marks, digest.hexdigest())
    return digest.hexdigest()


class _Index:
    """Hashes by path and marks. Lost or damaged, it costs one more reading of the files."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, list[object]] = _read(path)
        self._changed = False

    def find(self, file: Path, marks: Marks) -> str | None:
        entry = self._entries.get(str(file.resolve()))
        if entry is None or entry[:3] != list(marks):
            return None
        return str(entry[3])

    def add(self, file: Path, marks: Marks, digest: str) -> None:
        self._entries.pop(str(file.resolve()), None)
        self._entries[str(file.resolve())] = [*marks, digest]
        self._changed = True

    def save(self) -> None:
        if not self._changed:
            return
        latest = dict(list({**_read(self._path), **self._entries}.items())[-MAX_INDEX_ENTRIES:])
        # An index that cannot be kept (a read-only folder) is no reason not to load a model.
        with contextlib.suppress(OSError):
            write_atomically(self._path, json.dumps(latest).encode())


def _read(path: Path) -> dict[str, list[object]]:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_INDEX_BYTES + 1)
        parsed = json.loads(content) if len(content) <= MAX_INDEX_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(parsed, dict):
        return {}
    return {
        key: entry
        for key, entry in parsed.items()
        if isinstance(entry, list) and len(entry) == 4 and isinstance(entry[3], str)
    }
