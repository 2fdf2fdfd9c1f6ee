"""How many threads computing takes."""

import os
from pathlib import Path

import psutil
import pytest

from sidecar.executors import threads
from sidecar.executors.threads import default_threads


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    monkeypatch.setattr(threads, "CONTROL_GROUP_LIMIT", tmp_path / "cpu.max")


def _cores(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: count)


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (2, 2), (4, 4), (6, 5), (16, 15)])
def test_one_core_of_many_stays_free(cores: int, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _cores(monkeypatch, cores)
    assert default_threads() == expected


def test_threads_never_exceed_the_cores_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    _cores(monkeypatch, 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    assert default_threads() == 1


@pytest.mark.parametrize(
    ("limit", "expected"), [("max 100000", 4), ("250000 100000", 2), ("50000 100000", 1), ("nonsense", 4)]
)
def test_a_control_group_limits_threads(
    limit: str, expected: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _cores(monkeypatch, 4)
    (tmp_path / "cpu.max").write_text(limit)
    assert default_threads() == expected
