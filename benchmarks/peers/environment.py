"""Environments of the contestants that do not live in ours. Made once, then left alone.

pip's own settings (PIP_FIND_LINKS, PIP_INDEX_URL, …) apply.
"""

import subprocess
import sys
import time
import venv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.folders import PROJECT_DIR


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment and what is installed in it; without requirements it is ours."""

    folder: Path
    requirements: tuple[str, ...]
    note: str = ""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        if not self.requirements:
            return Path(sys.executable)
        if sys.platform == "win32":
            return self.folder / "Scripts" / "python.exe"
        return self.folder / "bin" / "python"

    def ensure(self) -> Path:
        """Make it if it is not there or holds something else; returns its interpreter.

        Raises CalledProcessError when pip fails.
        """
        stamp = self.folder / ".installed"
        wanted = "\n".join(self.requirements)
        if self.requirements and (not stamp.exists() or stamp.read_text() != wanted):
            print(f"installing {', '.join(self.requirements)} into {self.folder}; {self.note}", flush=True)
            started = time.monotonic()
            venv.create(self.folder, clear=True, symlinks=sys.platform != "win32", with_pip=True)
            pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *self.requirements], check=True)
            stamp.write_text(wanted)
            print(f"installed in {time.monotonic() - started:.0f} s", flush=True)
        return self.python


OURS = Environment(PROJECT_DIR / ".venv", ())
LLAMA_CPP = Environment(
    PROJECT_DIR / ".venv-llama-cpp",
    ("llama-cpp-python==0.3.36",),
    "it is compiled for this processor, which takes about ten minutes the first time",
)

if __name__ == "__main__":
    print(LLAMA_CPP.ensure())
