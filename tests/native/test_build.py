"""Compiling what changed, and nothing else."""

import ctypes
from pathlib import Path

import pytest

from sidecar.executors.native import build
from sidecar.executors.native.build import BuildError, Compiler, compile_sources, find_compiler, link
from sidecar.executors.native.library import LIBRARY

SHARED = ("-shared", "-fPIC")


@pytest.fixture
def compiler() -> Compiler:
    found = find_compiler()
    if found is None:
        pytest.skip("no C++ compiler")
    return found


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    (tmp_path / "answer.h").write_text("constexpr int kAnswer = 42;\n")
    (tmp_path / "first.cpp").write_text(
        '#include "answer.h"\n'
        'extern "C" __attribute__((visibility("default"))) int answer() { return kAnswer; }\n'
    )
    (tmp_path / "second.cpp").write_text("int unrelated() { return 1; }\n")
    return [tmp_path / "first.cpp", tmp_path / "second.cpp"]


def _times(objects: list[Path]) -> list[int]:
    return [path.stat().st_mtime_ns for path in objects]


def test_a_changed_header_compiles_its_users_alone(compiler: Compiler, sources: list[Path]) -> None:
    folder = sources[0].parent / "objects with a space"
    before = _times(compile_sources(compiler, sources, folder, SHARED[1:]))

    assert _times(compile_sources(compiler, sources, folder, SHARED[1:])) == before

    (sources[0].parent / "answer.h").write_text("constexpr int kAnswer = 43;\n")
    first, second = _times(compile_sources(compiler, sources, folder, SHARED[1:]))
    assert first != before[0]
    assert second == before[1]


def test_other_flags_compile_everything_again(compiler: Compiler, sources: list[Path]) -> None:
    before = _times(compile_sources(compiler, sources, sources[0].parent / "objects"))
    after = _times(compile_sources(compiler, sources, sources[0].parent / "objects", ["-O1"]))

    assert all(old != new for old, new in zip(before, after, strict=True))


def test_a_failed_link_leaves_the_library_as_it_was(compiler: Compiler, sources: list[Path]) -> None:
    objects = compile_sources(compiler, sources, sources[0].parent / "objects", SHARED[1:])
    output = sources[0].parent / LIBRARY.name
    link(compiler, objects, output, SHARED)
    written = output.stat().st_mtime_ns

    link(compiler, objects, output, SHARED)
    assert output.stat().st_mtime_ns == written

    with pytest.raises(BuildError, match="no-such-flag"):
        link(compiler, objects, output, [*SHARED, "-no-such-flag"])
    assert ctypes.CDLL(str(output)).answer() == 42
    assert sorted(path.name for path in output.parent.iterdir() if path.name.startswith(".")) == []


def test_a_mistake_is_shown_as_the_compiler_said_it(compiler: Compiler, sources: list[Path]) -> None:
    sources[1].write_text("int unrelated() { return nonsense; }\n")

    with pytest.raises(BuildError, match="nonsense"):
        compile_sources(compiler, sources, sources[0].parent / "objects")


def test_without_a_compiler_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_compiler() is None
    monkeypatch.setattr("sys.argv", ["build.py"])
    assert build.main() == 1
    monkeypatch.setattr("sys.argv", ["build.py", "--optional"])
    assert build.main() == 0
    assert "no C++ compiler" in capsys.readouterr().err


def test_the_library_is_where_it_is_looked_for() -> None:
    assert build.library_path() == LIBRARY


@pytest.mark.parametrize(("system", "suffix"), [("linux", ".so"), ("darwin", ".dylib"), ("windows", ".dll")])
def test_each_system_has_its_name_for_the_library(system: str, suffix: str) -> None:
    assert build.library_path(system).name == f"_native{suffix}"
