"""The native executor's C++, checked from C++ on every kernel path that can run here."""

import shutil
import subprocess

import pytest

from sidecar.executors.native.build import OBJECTS, BuildError, Compiler, build_library, find_compiler, link
from tests.native.self_check import BUILDS, build_self_check, run_self_check

CROSS_COMPILER = "aarch64-linux-gnu-g++"
EMULATOR = "qemu-aarch64"
THREADED_GROUPS = ("team", "models", "failures")


@pytest.fixture
def compiler() -> Compiler:
    found = find_compiler()
    if found is None:
        pytest.skip("no C++ compiler: the native executor is not built here")
    return found


def test_every_kernel_path_agrees_with_plain_references(compiler: Compiler) -> None:
    program = build_self_check(compiler, "native", library_objects=OBJECTS)

    output = run_self_check([str(program)])

    assert "portable" in output.splitlines()[0]


def test_only_the_c_interface_is_exported(compiler: Compiler) -> None:
    if compiler.system != "linux" or shutil.which("nm") is None:
        pytest.skip("needs nm and an ELF library")
    listing = _symbols("-D", "--defined-only", str(build_library(compiler)))

    names = {line.split()[-1] for line in listing}
    assert names
    assert {name for name in names if not name.startswith("native_")} == set()


def test_no_path_lends_its_code_to_another(compiler: Compiler) -> None:
    """A function that several files define is linked once: compiled for one processor, run on all."""
    if compiler.system != "linux" or shutil.which("nm") is None:
        pytest.skip("needs nm and ELF objects")
    build_library(compiler)
    objects = [path for path in OBJECTS.glob("path_*.o") if path.stem != "path_portable"]

    shared = {
        path.name: [line for line in _symbols(str(path)) if line.split()[-2] in "WVu"] for path in objects
    }

    assert shared
    assert {name: lines for name, lines in shared.items() if lines} == {}


@pytest.mark.slow
def test_neon_agrees_with_plain_references_under_emulation() -> None:
    compiler = find_compiler([CROSS_COMPILER])
    emulator = shutil.which(EMULATOR)
    if compiler is None or emulator is None:
        pytest.skip(f"needs {CROSS_COMPILER} and {EMULATOR} (Debian: g++-aarch64-linux-gnu, qemu-user)")
    program = build_self_check(compiler, "aarch64", ["-static"])

    output = run_self_check([emulator, str(program)])

    assert "neon-dotprod" in output.splitlines()[0]


@pytest.mark.slow
def test_no_memory_is_misused(compiler: Compiler) -> None:
    flags = [
        "-O1",
        "-g",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        "-fno-omit-frame-pointer",
    ]
    _needs_sanitizer(compiler, flags)
    program = build_self_check(compiler, "address", flags)

    run_self_check([str(program)])


@pytest.mark.slow
def test_no_threads_race(compiler: Compiler) -> None:
    flags = ["-O1", "-g", "-fsanitize=thread"]
    _needs_sanitizer(compiler, flags)
    program = build_self_check(compiler, "thread", flags)

    run_self_check([str(program), *THREADED_GROUPS], {"TSAN_OPTIONS": "halt_on_error=1"})


def _needs_sanitizer(compiler: Compiler, flags: list[str]) -> None:
    source = BUILDS / "empty.o"
    source.parent.mkdir(parents=True, exist_ok=True)
    command = [*compiler.command, "-x", "c++", "-c", "-", "-o", str(source)]
    subprocess.run(command, input=b"int main() {}", check=True)
    try:
        link(compiler, [source], BUILDS / "empty", flags)
    except BuildError as error:
        pytest.skip(f"this compiler has no such sanitizer: {error}")


def _symbols(*arguments: str) -> list[str]:
    listing = subprocess.run(["nm", *arguments], capture_output=True, text=True, check=True)
    return [line for line in listing.stdout.splitlines() if len(line.split()) > 1]
