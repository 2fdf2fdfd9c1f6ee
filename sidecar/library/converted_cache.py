"""Converted models on disk, shared by all apps of a user.

converted/<key>/            a finished entry: what the executor wrote, and entry.json
converted/<key>.part-<hex>/ one being written, or left over by a crash
converted/<key>.lock        held while one is being written

An entry appears by a rename after all its bytes are on the disk, so that what
is there is whole. Its entry.json's modification time is its last use.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from sidecar.library.files import is_locked, make_private_folder, process_lock, sync_folder, sync_names
from sidecar.models.json_file import MAX_JSON_BYTES

CONVERTER_VERSION = 1
"""Raised when entries made before must not be used any more."""
_FACTS = "entry.json"
_PARTIAL = ".part-"
_KEY_BYTES = 20


@dataclass(frozen=True, slots=True)
class ConversionKey:
    """What a converted model depends on. `layout_version` is the executor's."""

    content: str
    executor: str
    layout_version: int
    quantization: str

    @property
    def digest(self) -> str:
        """The entry's folder name."""
        text = json.dumps(
            [CONVERTER_VERSION, self.content, self.executor, self.layout_version, self.quantization]
        )
        return hashlib.blake2b(text.encode(), digest_size=_KEY_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A finished entry. `last_used` is in seconds since 1970."""

    digest: str
    folder: Path
    model: str
    executor: str
    quantization: str
    size: int
    last_used: float


class ConvertedCache:
    """The folder of converted models. Several processes may use it at once."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes

    def find(self, key: ConversionKey) -> Path | None:
        """The entry's folder, marked as used now; None when there is none, or not all of its files."""
        folder = self._folder / key.digest
        facts = _read_facts(folder)
        if facts is None or _sizes(folder) != facts.get("files"):
            return None
        with contextlib.suppress(OSError):
            os.utime(folder / _FACTS)
        return folder

    @contextlib.contextmanager
    def lock(self, key: ConversionKey, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Be the only one to write this entry. Raises Cancelled while waiting."""
        with process_lock(self._folder / f"{key.digest}.lock", cancelled):
            yield

    def add(self, key: ConversionKey, model: str, write: Callable[[Path], None]) -> Path:
        """Let `write` fill an empty folder and make it the entry; the caller holds its lock.

        Whatever `write` raises leaves nothing behind. Afterwards the entries
        used longest ago go, until all fit the limit.
        """
        make_private_folder(self._folder)
        self.remove_leftovers(key.digest)
        partial = self._folder / f"{key.digest}{_PARTIAL}{secrets.token_hex(6)}"
        partial.mkdir(mode=0o700)
        try:
            write(partial)
            facts = {"model": model, **asdict(key), "files": _sizes(partial)}
            (partial / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
            sync_folder(partial)
            target = self._folder / key.digest
            self._delete(target)
            partial.rename(target)
            sync_names(self._folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        self.shrink(self._limit, keep=key.digest)
        return target

    def entries(self) -> list[CacheEntry]:
        """All finished entries, the one used last first."""
        found = []
        for folder in self._children():
            facts = _read_facts(folder)
            if facts is None or _PARTIAL in folder.name:
                continue
            with contextlib.suppress(OSError):
                found.append(_entry(folder, facts))
        return sorted(found, key=lambda entry: -entry.last_used)

    def remove(self, digest: str) -> bool:
        """Remove an entry; whether it is gone. On Windows one in use stays."""
        return any(entry.digest == digest and self._delete(entry.folder) for entry in self.entries())

    def clean(self) -> int:
        """Remove every entry and all leftovers; gives the bytes freed."""
        self.remove_leftovers()
        return self.shrink(0)

    def shrink(self, limit: int, keep: str | None = None) -> int:
        """Remove the entries used longest ago until all fit `limit`; gives the bytes freed."""
        entries = self.entries()
        total = sum(entry.size for entry in entries)
        freed = 0
        for entry in reversed(entries):
            if total - freed <= limit:
                break
            if entry.digest != keep and self._delete(entry.folder):
                freed += entry.size
        return freed

    def remove_leftovers(self, own: str | None = None) -> None:
        """Remove what crashed conversions left; those that run now, other than of the key `own`, stay."""
        for folder in self._children():
            digest, mark, _ = folder.name.partition(_PARTIAL)
            if mark and (digest == own or not is_locked(self._folder / f"{digest}.lock")):
                shutil.rmtree(folder, ignore_errors=True)

    def _children(self) -> list[Path]:
        try:
            return [child for child in self._folder.iterdir() if child.is_dir()]
        except OSError:
            return []

    def _delete(self, folder: Path) -> bool:
        """Take an entry away at once, by a rename, and then its bytes."""
        doomed = folder.with_name(f"{folder.name}{_PARTIAL}{secrets.token_hex(6)}")
        try:
            folder.rename(doomed)
        except (FileNotFoundError, PermissionError):
            return False
        shutil.rmtree(doomed, ignore_errors=True)
        return True


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file of an entry, by its name within the entry."""
    return {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != _FACTS
    }


def _read_facts(folder: Path) -> Mapping[str, object] | None:
    try:
        with (folder / _FACTS).open("rb") as stream:
            facts = json.loads(stream.read(MAX_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


def _entry(folder: Path, facts: Mapping[str, object]) -> CacheEntry:
    return CacheEntry(
        digest=folder.name,
        folder=folder,
        model=str(facts.get("model", "")),
        executor=str(facts.get("executor", "")),
        quantization=str(facts.get("quantization", "")),
        size=sum(_sizes(folder).values()),
        last_used=(folder / _FACTS).stat().st_mtime,
    )
