"""Every Python block of the README runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
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
