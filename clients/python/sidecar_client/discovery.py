"""Connection files of engines with a debug door: `sidecar --socket`, or the start option debug_socket."""

import os
import stat
import sys
from pathlib import Path

import msgspec

from sidecar_client.channel import Door
from sidecar_client.errors import StartFailed
from sidecar_protocol.handshake import ConnectionFile
from sidecar_protocol.runtime_folder import runtime_folder

_FILE_BYTES = 16 * 2**10


def find_connection(path: Path | None = None, *, folder: Path | None = None) -> ConnectionFile:
    """The connection file at `path`, or the newest in the folder whose process lives. Raises StartFailed."""
    if path is not None:
        return read_connection_file(path)
    where = folder or runtime_folder()
    for candidate in _newest_first(where):
        try:
            connection = read_connection_file(candidate)
        except StartFailed:
            continue
        if process_lives(connection.pid):
            return connection
    raise StartFailed(
        f"no running engine has left a connection file in {where}; start one with `sidecar --socket`, "
        "or an application's with its start option debug_socket",
        code="not_found",
    )


def read_connection_file(path: Path) -> ConnectionFile:
    """Read one file. Raises StartFailed when it is unreadable, or others could have written it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_FILE_BYTES + 1)
    except OSError as error:
        raise StartFailed(f"the connection file {path} cannot be read: {error.strerror}") from error
    if sys.platform != "win32" and (status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077):
        raise StartFailed(f"{path} is open to other users (mode and owner must be 0600 and yours); not used")
    try:
        return msgspec.json.decode(content, type=ConnectionFile)
    except msgspec.DecodeError as error:
        raise StartFailed(f"{path} is no connection file: {error}") from error


def door_of(connection: ConnectionFile) -> Door:
    """Where it leads, and the keys."""
    return Door(connection.endpoint, connection.server_key, connection.client_key, connection.client_secret)


def process_lives(pid: int) -> bool:
    """Whether a process with this id exists."""
    if sys.platform == "win32":
        import ctypes

        synchronize = 0x00100000
        handle = ctypes.windll.kernel32.OpenProcess(synchronize, False, pid)
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _newest_first(folder: Path) -> list[Path]:
    found: list[tuple[float, Path]] = []
    for path in folder.glob("*.json"):
        try:
            found.append((path.stat().st_mtime, path))
        except OSError:
            continue
    return [path for _, path in sorted(found, reverse=True)]
