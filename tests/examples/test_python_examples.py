"""Every example runs as it is written, with the default model."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.model


def run(name: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, timeout=170, check=False
    )


def test_demo_shows_the_whole_way_and_leaves_nothing() -> None:
    done = run("demo.py")
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert "light energy" in shown
    for step in ("started", "loaded", "answered", "tokens/s", "memory", "no process is left"):
        assert step in shown


def test_chat_answers() -> None:
    done = run("chat.py")
    assert done.returncode == 0, done.stderr
    assert "sleep" in done.stdout
