"""Every Python block of the README runs as it stands there; other languages' run in their clients' tests."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
CLIENTS = README.parent / "clients"


def blocks(readme: Path, language: str) -> list[str]:
    """The code of one language."""
    return re.findall(rf"```{language}\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)


BLOCKS = blocks(README, "python")
SAYS = ("", "params.temperature is -1.0; it must be a number from 0 to 100\n", "")


def test_there_is_an_expectation_for_every_block() -> None:
    assert len(BLOCKS) == len(SAYS)


@pytest.mark.model
@pytest.mark.parametrize(
    ("block", "says"), list(zip(BLOCKS, SAYS, strict=True)), ids=["client", "error", "library"]
)
def test_a_block_runs(block: str, says: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block], capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 20
    assert says in done.stdout


@pytest.mark.parametrize(("language", "client"), [("ts", "typescript"), ("rust", "rust")])
def test_another_languages_block_is_the_quick_start_that_its_client_tests(language: str, client: str) -> None:
    [block] = blocks(README, language)
    assert block == blocks(CLIENTS / client / "README.md", rf"{language}(?:,no_run)?")[0]
