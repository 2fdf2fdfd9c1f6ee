"""The clients of all languages, each in a program that does what lines of JSON tell it.

They are the programs of the conformance tests: what is measured here is what is tested there.
"""

import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.folders import PROJECT_DIR

ANSWER_SECONDS = 300.0
ENGINE = "a"
"""The name of a driver's one engine."""
RUST_DIR = PROJECT_DIR / "clients" / "rust"
TYPESCRIPT_DIR = PROJECT_DIR / "clients" / "typescript"


class DriverFailed(Exception):
    """A driver said that something is wrong, ended, or said nothing in time."""


@dataclass(frozen=True, slots=True)
class Language:
    """A client: `build` must have run before `command` does; it needs the `tool`."""

    name: str
    command: Sequence[str]
    tool: str | None = None
    build: Sequence[str] = ()

    def missing(self) -> str | None:
        """Why it cannot run here, else None; builds it."""
        if self.tool is not None and (shutil.which(self.tool) is None or not _runs([self.tool, "--version"])):
            return f"{self.tool} does not run here"
        if self.build and not _runs(self.build):
            return f"`{' '.join(self.build)}` failed in {PROJECT_DIR}"
        return None


LANGUAGES = (
    Language("Python", [sys.executable, "tests/clients/drivers/python_driver.py"]),
    Language(
        "Rust",
        [str(RUST_DIR / "target" / "release" / "conformance-driver")],
        "cargo",
        [
            "cargo",
            "build",
            "--quiet",
            "--release",
            "--workspace",
            "--bin=conformance-driver",
            f"--manifest-path={RUST_DIR / 'Cargo.toml'}",
        ],
    ),
    Language(
        "TypeScript",
        ["node", str(TYPESCRIPT_DIR / "build" / "conformance-driver.mjs")],
        "npm",
        ["npm", "--silent", f"--prefix={TYPESCRIPT_DIR}", "run", "build:driver"],
    ),
)


class Driver:
    """A running driver. Raises DriverFailed from every call."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=PROJECT_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._waiting: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        """Process id of the driver."""
        return self._process.pid

    def tell(self, command: Mapping[str, object]) -> None:
        """Begin something; several commands run side by side."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise DriverFailed("the driver has ended") from error

    def wait(self, said: str, **about: str) -> dict[str, Any]:
        """The next line that says this, about that; others are kept for later."""
        wanted = {"said": said, **about}
        while True:
            for line in self._waiting:
                if wanted.items() <= line.items():
                    self._waiting.remove(line)
                    return line
            self._waiting.append(self._next())

    def spawn(self, command: Sequence[str], options: Mapping[str, object]) -> int:
        """Open a sidecar as ENGINE; returns its process id."""
        self.tell(
            {
                "do": "spawn",
                "engine": ENGINE,
                "command": command,
                "app_id": "benchmark",
                "options": options,
                "restart": False,
            }
        )
        return int(self.wait("opened", engine=ENGINE)["pid"])

    def begin(self, measurement: str, name: str, **values: object) -> None:
        """Begin to measure; `measured` with the same name waits for it."""
        self.tell({"do": measurement, "measure": name, **values})

    def measured(self, name: str) -> dict[str, Any]:
        """What a measurement gave."""
        return self.wait("measured", measure=name)

    def _next(self) -> dict[str, Any]:
        try:
            text = self._lines.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            self._process.kill()
            raise DriverFailed(f"the driver has said nothing for {ANSWER_SECONDS:.0f} s") from None
        if not text:
            raise DriverFailed("the driver has ended")
        line: dict[str, Any] = json.loads(text)
        if line["said"] in ("not_opened", "error", "bad_command"):
            raise DriverFailed(f"the driver says {text.strip()}")
        return line

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


def _runs(command: Sequence[str]) -> bool:
    return subprocess.run(command, cwd=PROJECT_DIR, stdout=subprocess.DEVNULL, check=False).returncode == 0


def available(languages: Sequence[Language] = LANGUAGES) -> list[Language]:
    """Those that run here; of the others it says why not."""
    found = []
    for language in languages:
        reason = language.missing()
        if reason is None:
            found.append(language)
        else:
            print(f"left out, the {language.name} client: {reason}", flush=True)
    return found
