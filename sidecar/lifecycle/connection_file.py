"""The file that lets this user's own tools reach a sidecar started with `--socket`."""

import contextlib
import os
from pathlib import Path

import msgspec
import psutil

from sidecar_protocol.handshake import ConnectionFile
from sidecar_protocol.runtime_folder import runtime_folder


def write_connection_file(connection: ConnectionFile, folder: Path | None = None) -> Path:
    """Write <folder>/<boot_id>.json, readable by this user alone, and return its path.

    On Windows the folder lies in the user's profile and inherits its access
    list. Files of dead processes are removed on the way.
    """
    folder = folder or runtime_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    remove_stale_files(folder)
    path = folder / f"{connection.boot_id}.json"
    half = path.with_suffix(".new")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(connection))
    half.replace(path)
    return path


def remove_stale_files(folder: Path) -> None:
    """Remove connection files whose process is gone, and files that are none."""
    for path in folder.glob("*.json"):
        try:
            alive = psutil.pid_exists(msgspec.json.decode(path.read_bytes(), type=ConnectionFile).pid)
        except (OSError, msgspec.DecodeError):
            alive = False
        if not alive:
            with contextlib.suppress(OSError):
                path.unlink()
