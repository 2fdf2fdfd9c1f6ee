import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "sidecar"]
DEADLINE_SECONDS = 60

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A runtime folder of its own, so that no engine outside the module is met."""
    runtime = tmp_path_factory.mktemp("run")
    return {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def run(environment: Mapping[str, str]) -> Run:
    """Runs one command to its end."""

    def run_command(*arguments: str | Path, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input="" if stdin is None else stdin,
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    return run_command


@pytest.fixture(scope="module")
def served(environment: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """An engine with the scripted executor that commands attach to by themselves."""
    with serving(environment) as (process, _):
        yield process


@contextmanager
def serving(
    environment: Mapping[str, str], *arguments: str
) -> "Iterator[tuple[subprocess.Popen[str], Path]]":
    """An engine with the scripted executor and `--socket`, and its connection file; killed at the end."""
    process = subprocess.Popen(
        [*COMMAND, "--socket", *arguments, "--executor", "scripted"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    )
    assert process.stdout is not None
    try:
        label = "connection file: "
        file = next(line for line in process.stdout if line.startswith(label))
        yield process, Path(file.removeprefix(label).strip())
    finally:
        process.kill()
        process.communicate()
