"""Which connection file is used."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from sidecar_client import StartFailed
from sidecar_client.discovery import door_of, find_connection, process_lives
from sidecar_protocol.handshake import ConnectionFile


@pytest.fixture
def dead_pid() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def write(folder: Path, name: str, *, pid: int, age: float = 0, mode: int = 0o600) -> Path:
    connection = ConnectionFile(
        endpoint=f"tcp://127.0.0.1:1/{name}",
        server_key="s" * 40,
        client_key="c" * 40,
        client_secret="very-secret",
        boot_id=name,
        pid=pid,
        protocol=1,
        version="1",
        app_id="debug",
    )
    path = folder / f"{name}.json"
    path.write_bytes(msgspec.json.encode(connection))
    path.chmod(mode)
    os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return path


def test_the_newest_whose_process_lives(tmp_path: Path, dead_pid: int) -> None:
    write(tmp_path, "older", pid=os.getpid(), age=100)
    write(tmp_path, "newer", pid=os.getpid(), age=50)
    write(tmp_path, "dead", pid=dead_pid)
    (tmp_path / "noise.json").write_text("{")
    assert find_connection(folder=tmp_path).boot_id == "newer"


def test_none_is_explained(tmp_path: Path, dead_pid: int) -> None:
    write(tmp_path, "dead", pid=dead_pid)
    with pytest.raises(StartFailed, match="sidecar --socket") as caught:
        find_connection(folder=tmp_path)
    assert caught.value.code == "not_found"
    with pytest.raises(StartFailed):
        find_connection(folder=tmp_path / "missing")


def test_a_named_file(tmp_path: Path) -> None:
    path = write(tmp_path, "mine", pid=os.getpid())
    door = door_of(find_connection(path))
    assert door.endpoint == "tcp://127.0.0.1:1/mine"
    assert door.client_secret == "very-secret"
    assert "very-secret" not in repr(door)
    with pytest.raises(StartFailed, match="cannot be read"):
        find_connection(tmp_path / "missing.json")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX file modes")
def test_a_file_open_to_others_is_not_used(tmp_path: Path) -> None:
    path = write(tmp_path, "open", pid=os.getpid(), mode=0o644)
    with pytest.raises(StartFailed, match="open to other users"):
        find_connection(path)
    with pytest.raises(StartFailed, match="no running engine"):
        find_connection(folder=tmp_path)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[]")
    path.chmod(0o600)
    with pytest.raises(StartFailed, match="no connection file"):
        find_connection(path)


def test_whether_a_process_lives(dead_pid: int) -> None:
    assert process_lives(os.getpid())
    assert not process_lives(dead_pid)
