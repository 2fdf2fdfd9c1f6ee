"""Every Python block of the client's README runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[3] / "clients" / "python" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
SAYS = {"quick start": r"\w+.*\n\d+ tokens\n", "sync": r"\w+.*\n", "tools": r"\d rounds of tools: "}


def test_there_is_an_expectation_for_every_block() -> None:
    assert len(BLOCKS) == len(SAYS)


@pytest.mark.model
@pytest.mark.parametrize(("block", "says"), list(zip(BLOCKS, SAYS.values(), strict=True)), ids=list(SAYS))
def test_a_block_runs(block: str, says: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block], capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert re.search(says, done.stdout), done.stdout
