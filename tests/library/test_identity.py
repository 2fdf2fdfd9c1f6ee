"""A model's identity is its content, read once."""

import os
from pathlib import Path

import pytest

from sidecar.errors import Cancelled, ModelLoadFailed
from sidecar.library.identity import INDEX_NAME, content_hash


def settled(path: Path, content: bytes) -> Path:
    """A file that was last written an hour ago."""
    path.write_bytes(content)
    an_hour_ago = path.stat().st_mtime_ns - 3600 * 10**9
    os.utime(path, ns=(an_hour_ago, an_hour_ago))
    return path


def never() -> bool:
    raise AssertionError("the file was read again")


def test_the_same_content_is_the_same_model_whatever_its_name(tmp_path: Path) -> None:
    first, second = settled(tmp_path / "a.gguf", b"weights"), settled(tmp_path / "b.gguf", b"weights")
    other = settled(tmp_path / "c.gguf", b"weight5")
    cache = tmp_path / "cache"
    assert content_hash(first, cache) == content_hash(second, cache) != content_hash(other, cache)


def test_an_unchanged_file_is_read_once(tmp_path: Path) -> None:
    path = settled(tmp_path / "a.gguf", b"weights")
    digest = content_hash(path, tmp_path / "cache")
    assert content_hash(path, tmp_path / "cache", never) == digest


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = settled(tmp_path / "a.gguf", b"weights")
    digest = content_hash(path, tmp_path / "cache")
    status = path.stat()
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert content_hash(path, tmp_path / "cache") != digest


def test_a_file_written_just_now_is_not_trusted_to_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"weights")
    content_hash(path, tmp_path / "cache")
    with pytest.raises(AssertionError, match="read again"):
        content_hash(path, tmp_path / "cache", never)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"x": 1}', b"\xff" * 100])
def test_a_damaged_index_costs_a_reading_and_is_mended(tmp_path: Path, damage: bytes) -> None:
    path = settled(tmp_path / "a.gguf", b"weights")
    digest = content_hash(path, tmp_path / "cache")
    (tmp_path / "cache" / INDEX_NAME).write_bytes(damage)
    assert content_hash(path, tmp_path / "cache") == digest
    assert content_hash(path, tmp_path / "cache", never) == digest


def test_a_folder_is_its_config_and_weights(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    settled(folder / "config.json", b"{}")
    settled(folder / "model.safetensors", b"weights")
    digest = content_hash(folder, tmp_path / "cache")
    settled(folder / "README.md", b"hello")
    assert content_hash(folder, tmp_path / "cache") == digest
    settled(folder / "config.json", b"{ }")
    assert content_hash(folder, tmp_path / "cache") != digest


def test_reading_can_be_cancelled(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        content_hash(settled(tmp_path / "a.gguf", b"weights"), tmp_path / "cache", lambda: True)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match=r"absent\.gguf"):
        content_hash(tmp_path / "absent.gguf", tmp_path / "cache")


@pytest.mark.skipif(os.name == "nt", reason="no such modes there")
def test_the_index_is_private(tmp_path: Path) -> None:
    content_hash(settled(tmp_path / "a.gguf", b"weights"), tmp_path / "cache")
    assert (tmp_path / "cache" / INDEX_NAME).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
