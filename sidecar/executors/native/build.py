"""Building the C++ library. Knows no other module of the project: installers and tests run it too.

`python -m sidecar.executors.native.build` compiles what changed and links `_native.so` (`.dylib`,
`.dll`) beside this file. Each kernel path is compiled with the instructions of its processors;
which one runs is chosen when the library is loaded.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "src"
OBJECTS = HERE / "_objects"

# Sums must not depend on how a compiler fuses or reorders them; nothing reads errno or FPU flags.
BASE_FLAGS = (
    "-std=c++17",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wall",
    "-Wextra",
)

# Kernels are written in vectors and unrolled by hand: a vectorizer only takes them apart again.
_BY_HAND = ("-O2", "-fno-tree-vectorize")
_AVX2 = ("-mavx2", "-mfma", "-mf16c")
_AVX512 = (*_AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni")
_NEON = ("-march=armv8.2-a+dotprod",)

# Those that take long come first.
_PATHS: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": {
        "path_portable": _BY_HAND,
        "path_avx2": (*_BY_HAND, *_AVX2),
        "path_avx2_vnni": (*_BY_HAND, *_AVX2, "-mavxvnni"),
        "path_avx512_256": (*_BY_HAND, *_AVX512),
        "path_avx512": ("-O3", "-fno-tree-vectorize", *_AVX512),
        "path_avx512_bf16": ("-O3", "-fno-tree-vectorize", *_AVX512, "-mavx512bf16"),
    },
    "aarch64": {"path_portable": _BY_HAND, "path_neon": (*_BY_HAND, *_NEON)},
}
# Instructions that not every compiler in use knows: without them their path is left out.
_RECENT = {"path_avx2_vnni": "-mavxvnni", "path_avx512_bf16": "-mavx512bf16"}
_OTHER_MACHINES = {"path_portable": _BY_HAND}


class BuildError(Exception):
    """The compiler refused; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C++ compiler and the machine it compiles for.

    `command` is how it is called, `machine` is `x86_64`, `aarch64` or another name, `system` one of
    `linux`, `darwin`, `windows`, `version` identifies the very release.
    """

    command: tuple[str, ...]
    machine: str
    system: str
    version: str

    @property
    def is_gcc(self) -> bool:
        """Whether it is GCC, not clang under one of its names."""
        return "clang" not in self.version

    def knows(self, flag: str) -> bool:
        """Whether it accepts a flag."""
        command = [*self.command, "-Werror", flag, "-fsyntax-only", "-x", "c++", "-"]
        return subprocess.run(command, input=b"", capture_output=True, check=False).returncode == 0


def find_compiler(names: Iterable[str] = ()) -> Compiler | None:
    """The first of `names` that is there; without names $CXX or what is called c++, g++ or clang++."""
    chosen = os.environ.get("CXX")
    candidates = tuple(names) or ((chosen,) if chosen else ("c++", "g++", "clang++"))
    for candidate in candidates:
        command = tuple(shlex.split(candidate))
        if not command or shutil.which(command[0]) is None:
            continue
        target = _run([*command, "-dumpmachine"]).strip()
        machine = target.partition("-")[0].replace("arm64", "aarch64").replace("amd64", "x86_64")
        systems = {"darwin": "darwin", "apple": "darwin", "mingw": "windows", "windows": "windows"}
        system = next((name for part, name in systems.items() if part in target), "linux")
        return Compiler(command, machine, system, _run([*command, "--version"]))
    return None


def library_path(system: str = sys.platform) -> Path:
    """Where the library lies for a system, as sys.platform or Compiler.system names it."""
    suffix = {"win32": ".dll", "windows": ".dll", "darwin": ".dylib"}.get(system, ".so")
    return HERE / f"_native{suffix}"


def compile_sources(
    compiler: Compiler, sources: Iterable[Path], objects: Path, flags: Sequence[str] = ()
) -> list[Path]:
    """Compiles what changed, on all processors; returns the objects. Raises BuildError.

    An object is kept while the compiler, the flags and every file that went into it are the same.
    """
    objects.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(lambda source: _compile(compiler, source, objects, flags), sources))


def compile_library(compiler: Compiler, objects: Path, flags: Sequence[str] = ()) -> list[Path]:
    """The library's own objects, with `flags` beside those of each file. Raises BuildError."""
    paths = dict(_PATHS.get(compiler.machine, _OTHER_MACHINES))
    for path, instructions in _RECENT.items():
        if path in paths and not compiler.knows(instructions):
            del paths[path]
            flags = (*flags, f"-DNATIVE_NO_{path.removeprefix('path_').upper()}")
    others = sorted(source for source in SOURCES.glob("*.cpp") if not source.stem.startswith("path_"))
    sources = [*(SOURCES / f"{name}.cpp" for name in paths), *others]
    return compile_sources(compiler, sources, objects, flags)


def link(compiler: Compiler, objects: Sequence[Path], output: Path, flags: Sequence[str]) -> None:
    """Links objects into `output`, unless the same ones were; never leaves half a file. Raises BuildError."""
    digest = _digest([compiler.version, *flags], objects)
    stamp = objects[0].with_name(f"{output.name}.stamp")
    if output.exists() and stamp.exists() and stamp.read_text() == digest:
        return
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".link-") as folder:
        linked = Path(folder) / output.name
        _run([*compiler.command, *map(str, objects), "-o", str(linked), *flags])
        linked.replace(output)
    stamp.write_text(digest)


def build_library(compiler: Compiler) -> Path:
    """The library for the compiler's machine, beside this file. Raises BuildError."""
    output = library_path(compiler.system)
    objects = compile_library(compiler, OBJECTS)
    flags = {
        # The wheel must not need a newer C++ library than the computer has, nor show its symbols.
        "linux": [
            *("-shared", "-static-libstdc++", "-static-libgcc", "-s", "-pthread", "-Wl,--gc-sections"),
            f"-Wl,--version-script={SOURCES / 'exports.map'}",
        ],
        "darwin": ["-dynamiclib", "-Wl,-exported_symbol,_native_*"],
        "windows": ["-shared", "-static", "-s"],
    }[compiler.system]
    link(compiler, objects, output, flags)
    return output


def main() -> int:
    """Builds the library; says what happened. `--optional`: succeeds without a compiler."""
    compiler = find_compiler()
    if compiler is None:
        print(
            "no C++ compiler was found ($CXX, c++, g++, clang++): models will run on torch", file=sys.stderr
        )
        return 0 if "--optional" in sys.argv else 1
    try:
        output = build_library(compiler)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{output} is up to date")
    return 0


def _compile(compiler: Compiler, source: Path, objects: Path, flags: Sequence[str]) -> Path:
    every = [*BASE_FLAGS, *_flags_of(compiler, source), *flags]
    output, dependencies, stamp = (objects / f"{source.stem}{suffix}" for suffix in (".o", ".d", ".stamp"))
    is_known = output.exists() and dependencies.exists() and stamp.exists()
    if is_known and stamp.read_text() == _digest([compiler.version, *every], _dependencies(dependencies)):
        return output
    stamp.unlink(missing_ok=True)
    # Under names of its own until it is whole: another build may be at work in the same folder.
    new_output, new_dependencies = (
        objects / f".{source.stem}.{os.getpid()}{suffix}" for suffix in (".o", ".d")
    )
    command = [*compiler.command, *every, "-MMD", "-MF", str(new_dependencies), "-c", str(source)]
    begin = time.time_ns()
    try:
        _run([*command, "-o", str(new_output)])
        new_dependencies.replace(dependencies)
        new_output.replace(output)
    finally:
        new_dependencies.unlink(missing_ok=True)
        new_output.unlink(missing_ok=True)
    files = _dependencies(dependencies)
    # What was edited meanwhile may not be what was compiled.
    if all(file.stat().st_mtime_ns < begin for file in files):
        stamp.write_text(_digest([compiler.version, *every], files))
    return output


def _flags_of(compiler: Compiler, source: Path) -> list[str]:
    flags = list(_PATHS.get(compiler.machine, _OTHER_MACHINES).get(source.stem, ("-O3",)))
    if compiler.system != "windows":
        flags.append("-fPIC")
    # GCC's own AVX-512 header reads what it leaves undefined on purpose.
    if "-mavx512f" in flags and compiler.is_gcc:
        flags += ["-Wno-uninitialized", "-Wno-maybe-uninitialized"]
    return flags


def _dependencies(file: Path) -> list[Path]:
    """The files that a compiler's make rule names."""
    rule = file.read_text().partition(": ")[2].replace("\\\n", " ")
    return [Path(name.replace("\\ ", " ")) for name in re.findall(r"(?:\\ |\S)+", rule)]


def _digest(words: Iterable[str], files: Iterable[Path]) -> str:
    digest = hashlib.sha256("\0".join(words).encode())
    for file in files:
        digest.update(file.read_bytes() if file.exists() else b"missing")
    return digest.hexdigest()


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{shlex.join(command)}\n{done.stderr.strip()}")
    sys.stderr.write(done.stderr)
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
