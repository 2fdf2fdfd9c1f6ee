"""Where each client's driver is, and why it may not run here."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class DriverProgram:
    """How to start a client's driver."""

    language: str
    command: tuple[str, ...]
    toolchain: str | None = None
    """The program without which this client cannot be built or run."""
    built_by: str = ""

    def why_not(self) -> str | None:
        """Why the driver cannot run on this computer; None when it can, or must."""
        if self.toolchain is None or _runs(self.toolchain):
            return None
        return f"{self.toolchain} does not run here"

    def demand(self) -> None:
        """Raises AssertionError when the driver is not there."""
        missing = [part for part in self.command if "/" in part and not Path(part).exists()]
        assert not missing, f"{missing[0]} is missing; `{self.built_by}` builds it"


PROGRAMS = (
    DriverProgram("python", (sys.executable, str(ROOT / "tests/clients/drivers/python_driver.py"))),
    DriverProgram(
        "rust",
        (str(ROOT / "clients/rust/target/debug/conformance-driver"),),
        toolchain="cargo",
        built_by="cd clients/rust && cargo build --workspace --bin conformance-driver",
    ),
    DriverProgram(
        "typescript",
        ("node", str(ROOT / "clients/typescript/build/conformance-driver.mjs")),
        toolchain="node",
        built_by="npm --prefix clients/typescript run build:driver",
    ),
)


@cache
def _runs(program: str) -> bool:
    path = shutil.which(program)
    if path is None:
        return False
    done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    return done.returncode == 0
