"""Compiling the C++ self-check with the library's sources, and running it."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sidecar.executors.native.build import SOURCES, Compiler, compile_library, compile_sources, link

HERE = Path(__file__).parent
BUILDS = HERE.parent.parent / ".cache" / "tests" / "native"


def build_self_check(
    compiler: Compiler, name: str, flags: Sequence[str] = (), library_objects: Path | None = None
) -> Path:
    """The program, with `flags` for every file of it; what did not change is not compiled again.

    `library_objects`: where the library's objects are kept, if not beside the program's.
    """
    folder = BUILDS / name
    objects = compile_library(compiler, library_objects or folder / "library", flags)
    checks = sorted(HERE.glob("*.cpp"))
    objects += compile_sources(compiler, checks, folder, ["-O1", f"-I{SOURCES}", "-g", *flags])
    program = folder / "self_check"
    link(compiler, objects, program, ["-pthread", *flags])
    return program


def run_self_check(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    """Its output; an error when a check failed."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    print(done.stdout)
    assert done.returncode == 0, (
        f"exit status {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    )
    assert done.stdout.rstrip().endswith(", 0 failed")
    return done.stdout
