"""Help, wrong usage, and what happens where no engine is."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Run
from tests.support.terminal import Terminal

COMMANDS = ("chat", "call", "watch", "models", "stats", "doctor")


def test_help_names_every_command_and_the_exit_codes(run: Run) -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in COMMANDS)
    assert "exit codes:" in shown.stdout
    assert "examples:" in shown.stdout


@pytest.mark.parametrize("command", [*COMMANDS, "--socket"])
def test_each_command_has_help_with_examples(run: Run, command: str) -> None:
    shown = run(command, "--help")
    assert shown.returncode == 0
    assert "examples:" in shown.stdout
    assert "scripted" not in shown.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["call"],
        ["call", "engine.info", "not json"],
        ["call", "engine.info", "[1]"],
        ["chat", "hi", "--connection", "x.json", "--spawn"],
        ["chat", "-"],
        ["chat", "hi", "--threads", "many"],
        ["--socket", "http://example.org"],
        ["--socket", "--app-id", "NOT OK"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "error:" in done.stderr or done.stderr.startswith("sidecar: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["watch"], ["stats"], ["models", "unload", "m"]])
def test_without_an_engine_to_attach_to(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 3
    assert done.stderr.startswith("sidecar: no running engine")
    assert len(done.stderr.splitlines()) == 1


def test_a_connection_file_that_is_none(run: Run, tmp_path: Path) -> None:
    done = run("call", "engine.info", "--connection", tmp_path / "missing.json")
    assert done.returncode == 3
    assert "missing.json" in done.stderr


def test_by_hand_on_a_terminal_without_arguments(environment: Mapping[str, str]) -> None:
    with Terminal(COMMAND, environment) as terminal:
        assert terminal.wait() == 2
        assert "usage: sidecar" in terminal.printed


def test_without_arguments_and_without_a_spawn_line(run: Run) -> None:
    done = run(stdin="hello\n")
    assert done.returncode == 2
    assert '"error"' in done.stdout


def test_an_engine_that_cannot_start(run: Run, tmp_path: Path) -> None:
    done = run("chat", "hi", "--executor", "of-tomorrow", "--cache-dir", tmp_path)
    assert done.returncode in (1, 3)
    assert "of-tomorrow" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_line_imports_nothing_heavy() -> None:
    heavy = ["torch", "numpy", "rich", "jinja2", "tokenizers", "sidecar.app"]
    code = f"import sys, sidecar.cli.main; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.strip() == "[]"
