"""What `sidecar doctor` says of the native executor, built, not built, and broken."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.cli.checks import check_native
from sidecar.executors.native import library
from sidecar.executors.native.library import LIBRARY, kernel_paths, native_library


@pytest.fixture
def other_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for a library of the test's own."""
    monkeypatch.setattr(library, "LIBRARY", tmp_path / LIBRARY.name)
    native_library.cache_clear()
    yield tmp_path / LIBRARY.name
    native_library.cache_clear()


@pytest.mark.skipif(not LIBRARY.exists(), reason="the native executor was not built here")
def test_names_the_chosen_path_and_all_others() -> None:
    check = check_native("auto")

    fastest = next(name for name, is_usable in kernel_paths() if is_usable)
    assert check.passed
    assert check.finding.startswith(f"{fastest} (chosen)")
    assert all(name in check.finding for name, _ in kernel_paths())


@pytest.mark.skipif(not LIBRARY.exists(), reason="the native executor was not built here")
def test_a_path_that_cannot_run_here_is_a_failure() -> None:
    check = check_native("abacus")

    assert not check.passed
    assert "abacus" in check.finding


def test_without_the_library_it_says_how_to_get_it(other_library: Path) -> None:
    check = check_native("auto")

    assert check.passed
    assert "not built" in check.finding
    assert "C++ compiler" in check.remedy


def test_a_library_that_cannot_be_loaded_is_a_failure(other_library: Path) -> None:
    other_library.write_bytes(b"no library at all")

    check = check_native("auto")

    assert not check.passed
    assert str(other_library) in check.finding
    assert "C++ compiler" in check.remedy
