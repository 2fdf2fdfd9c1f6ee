"""The file that opens the debug door to its user alone."""

import stat
import subprocess
import sys
from pathlib import Path

import msgspec

from sidecar.lifecycle.connection_file import write_connection_file
from sidecar_protocol.handshake import ConnectionFile


def connection(boot_id: str, pid: int) -> ConnectionFile:
    return ConnectionFile(
        endpoint="tcp://127.0.0.1:1",
        server_key="s" * 40,
        client_key="c" * 40,
        client_secret="x" * 40,
        boot_id=boot_id,
        pid=pid,
        protocol=1,
        version="0",
        app_id="debug",
    )


def test_only_the_user_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    path = write_connection_file(connection("b1", 1), folder)
    assert path == folder / "b1.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert msgspec.json.decode(path.read_bytes(), type=ConnectionFile) == connection("b1", 1)


def test_files_of_dead_processes_and_broken_files_are_removed(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    stale = write_connection_file(connection("stale", int(dead.stdout)), tmp_path)
    (tmp_path / "broken.json").write_text("{")
    alive = write_connection_file(connection("alive", 1), tmp_path)
    assert alive.exists()
    assert not stale.exists()
    assert not (tmp_path / "broken.json").exists()
