"""`make package`: freezes the program into dist/llm-sidecar, a folder that an application ships as it is.

The environment it is frozen from, .venv-package, holds what the program needs and nothing else; the
program itself is installed there from a wheel, so that the source tree is not on any path.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv-package"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
FOLDER = ROOT / "dist" / "llm-sidecar"
WORK = ROOT / "build" / "package"
SPEC = ROOT / "packaging" / "sidecar.spec"

IS_FOR_GPUS = "import torch; raise SystemExit(torch.version.cuda is not None)"
TAKE_CPU_TORCH = (
    "pip has chosen a torch for GPUs, with gigabytes of libraries that no desktop application ships. Let it "
    "find a CPU wheel (PIP_FIND_LINKS, PIP_INDEX_URL or PIP_EXTRA_INDEX_URL), then remove .venv-package."
)


def main() -> int:
    """Makes the environment, freezes, checks; returns the exit status."""
    WORK.mkdir(parents=True, exist_ok=True)
    try:
        make_environment()
        freeze()
    except subprocess.CalledProcessError as error:
        print(f"{' '.join(error.cmd)} ended with {error.returncode}", file=sys.stderr)
        return 1
    links = [path for path in FOLDER.rglob("*") if path.is_symlink()]
    if links:
        print("bundlers copy or drop links; the folder must hold none:", *links, sep="\n  ", file=sys.stderr)
        return 1
    print(f"{FOLDER} is ready; `make package-test` tries it out")
    return 0


def make_environment() -> None:
    """The environment, with today's tree as an installed wheel."""
    if not PYTHON.exists():
        run(sys.executable, "-m", "venv", ENVIRONMENT)
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
    requirements = f"{ROOT}[engine,package]"
    run(*pip, "--constraint", ROOT / "constraints.txt", requirements)
    # The version stays while the tree changes.
    run(*pip, "--no-deps", "--force-reinstall", ROOT)
    if subprocess.run([PYTHON, "-W", "ignore", "-c", IS_FOR_GPUS], check=False).returncode:
        raise SystemExit(TAKE_CPU_TORCH)


def freeze() -> None:
    """Run PyInstaller, in a folder of its own: it imports what lies in the working folder."""
    run(
        *(PYTHON, "-m", "PyInstaller", "--noconfirm", "--clean", "--log-level", "WARN"),
        *("--distpath", FOLDER.parent, "--workpath", WORK, SPEC),
    )


def run(*command: str | Path) -> None:
    """Runs a command to its end, without variables that change what Python imports. Raises when it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # Every module of torch is imported once, those with nothing but a deprecation to tell included.
    environment["PYTHONWARNINGS"] = "ignore"
    subprocess.run([str(word) for word in command], check=True, cwd=WORK, env=environment)


if __name__ == "__main__":
    raise SystemExit(main())
