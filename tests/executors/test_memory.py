"""What may still be taken, by the machine's and the control groups' word."""

from pathlib import Path

import pytest

from sidecar.errors import OutOfMemory
from sidecar.executors import memory
from sidecar.executors.memory import available_memory, require_memory

MIB = 2**20


def test_available_memory_heeds_the_tightest_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "cgroup"
    for group, limit in (("a", str(40 * MIB)), ("a/b", "max")):
        folder = root / group
        folder.mkdir(parents=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{30 * MIB}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {5 * MIB}\n")
    own = tmp_path / "own"
    own.write_text("0::/a/b\n")
    monkeypatch.setattr(memory, "CONTROL_GROUP_ROOT", root)
    monkeypatch.setattr(memory, "CONTROL_GROUP_FILE", own)
    assert available_memory() == 15 * MIB


def test_available_memory_without_control_groups_is_the_machine_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CONTROL_GROUP_FILE", tmp_path / "none")
    assert available_memory() > 10 * MIB


def test_what_is_not_there_is_refused_with_both_sizes() -> None:
    require_memory(MIB, "a little")
    with pytest.raises(OutOfMemory, match="not enough memory for a lot") as raised:
        require_memory(2**50, "a lot")
    assert raised.value.data["needed_bytes"] == 2**50
