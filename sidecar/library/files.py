"""Small steps on files that must survive a crash or keep two processes apart."""

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sidecar.errors import Cancelled

_LOCK_POLL_SECONDS = 0.05


def make_private_folder(folder: Path) -> None:
    """Create a folder that only this user may enter, and its parents."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content; whatever happens, the old or the new one is there, whole. Mode 0600."""
    make_private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring a folder's files and names to the disk."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_names(path)
        else:
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())
    sync_names(folder)


def sync_names(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system knows such a thing."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def process_lock(path: Path, cancelled: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold a lock that no other process holds; it ends with its process.

    Raises Cancelled soon after `cancelled()` has become true while waiting.
    """
    make_private_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(descriptor):
            if cancelled():
                raise Cancelled(f"waiting for another process to let go of {path} was cancelled")
            time.sleep(_LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock right now."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
