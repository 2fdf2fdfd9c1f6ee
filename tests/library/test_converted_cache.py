"""The cache of converted models: whole entries only, the limit kept, crashes cleaned up after."""

import os
from pathlib import Path

import pytest

from sidecar.library.converted_cache import ConversionKey, ConvertedCache


def key(content: str = "c0ffee", quantization: str = "int8") -> ConversionKey:
    return ConversionKey(content, "torch", 1, quantization)


def writes(size: int = 100) -> object:
    def write(folder: Path) -> None:
        (folder / "parts").mkdir()
        (folder / "parts" / "weights").write_bytes(bytes(size))

    return write


@pytest.fixture
def cache(tmp_path: Path) -> ConvertedCache:
    return ConvertedCache(tmp_path / "converted", limit_bytes=1000)


def add(cache: ConvertedCache, entry: ConversionKey, size: int = 100, used: float | None = None) -> Path:
    with cache.lock(entry, lambda: False):
        folder = cache.add(entry, f"/models/{entry.content}.gguf", writes(size))
    if used is not None:
        os.utime(folder / "entry.json", (used, used))
    return folder


def test_an_entry_is_found_by_all_that_it_depends_on(cache: ConvertedCache) -> None:
    folder = add(cache, key())
    assert cache.find(key()) == folder
    assert (folder / "parts" / "weights").stat().st_size == 100
    for other in (
        key(content="beef"),
        key(quantization="int4"),
        ConversionKey("c0ffee", "native", 1, "int8"),
        ConversionKey("c0ffee", "torch", 2, "int8"),
    ):
        assert cache.find(other) is None


def test_entries_are_listed_with_what_they_are(cache: ConvertedCache) -> None:
    add(cache, key("a"), size=10, used=1000)
    add(cache, key("b"), size=20, used=2000)
    first, second = cache.entries()
    assert (first.model, first.executor, first.quantization, first.size, first.last_used) == (
        "/models/b.gguf",
        "torch",
        "int8",
        20,
        2000,
    )
    assert second.model == "/models/a.gguf"


def test_a_failed_conversion_leaves_nothing(cache: ConvertedCache, tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "weights").write_bytes(b"half")
        raise KeyboardInterrupt

    with cache.lock(key(), lambda: False), pytest.raises(KeyboardInterrupt):
        cache.add(key(), "model", fail)
    assert cache.find(key()) is None
    assert [path for path in (tmp_path / "converted").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("damage", ["missing file", "short file", "no facts"])
def test_a_damaged_entry_is_not_used_and_can_be_made_again(cache: ConvertedCache, damage: str) -> None:
    folder = add(cache, key())
    if damage == "missing file":
        (folder / "parts" / "weights").unlink()
    elif damage == "short file":
        (folder / "parts" / "weights").write_bytes(b"x")
    else:
        (folder / "entry.json").write_text("{")
    assert cache.find(key()) is None
    assert cache.find(key()) is None
    assert add(cache, key()) == cache.find(key())


def test_the_entries_used_longest_ago_go_first(cache: ConvertedCache) -> None:
    for index, name in enumerate("abc"):
        add(cache, key(name), size=400, used=1000.0 + index)
        cache.find(key("a"))
    assert [entry.model for entry in cache.entries()] == ["/models/a.gguf", "/models/c.gguf"]


def test_the_entry_just_made_stays_even_above_the_limit(cache: ConvertedCache) -> None:
    add(cache, key("a"), used=1000)
    assert add(cache, key("huge"), size=5000).exists()
    assert [entry.model for entry in cache.entries()] == ["/models/huge.gguf"]


def test_leftovers_of_a_crash_go_and_running_conversions_stay(cache: ConvertedCache, tmp_path: Path) -> None:
    crashed = tmp_path / "converted" / f"{key('crashed').digest}.part-abc"
    running = tmp_path / "converted" / f"{key('running').digest}.part-abc"
    crashed.mkdir(parents=True)
    running.mkdir()
    with cache.lock(key("running"), lambda: False):
        cache.remove_leftovers()
        assert not crashed.exists()
        assert running.exists()
    cache.remove_leftovers()
    assert not running.exists()


def test_entries_are_removed_on_request(cache: ConvertedCache) -> None:
    add(cache, key("a"), size=10)
    add(cache, key("b"), size=20)
    assert cache.remove(key("a").digest)
    assert not cache.remove(key("a").digest)
    assert not cache.remove("../../elsewhere")
    assert cache.clean() == 20
    assert cache.entries() == []
