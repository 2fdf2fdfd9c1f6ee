"""What is checked of the frozen folder, and the folder itself where it was built."""

import ast
import importlib.util
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

PACKAGING = Path(__file__).parents[2] / "packaging"


def load(name: str) -> ModuleType:
    """A script of the folder, which is no package: its name is another project's."""
    spec = importlib.util.spec_from_file_location(name, PACKAGING / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, size in (("sidecar", 3_000_000), ("_internal/torch/a", 5_000_000), ("_internal/torch/b/c", 1)):
        file = tmp_path / "frozen" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
    (tmp_path / "frozen" / "sidecar").chmod(0o755)
    return tmp_path / "frozen"


def test_sizes_are_told_by_part_the_largest_first(folder: Path) -> None:
    lines = [line.split() for line in load("smoke_test").sizes(folder).splitlines()]
    assert lines[0] == ["8.0", "MB", str(folder)]
    assert lines[1:3] == [["5.0", "MB", "torch"], ["3.0", "MB", "sidecar"]]


def test_links_and_empty_folders_are_found(folder: Path) -> None:
    check = load("smoke_test").check_folder
    assert "no links" in check(folder)
    (folder / "_internal" / "empty").mkdir()
    with pytest.raises(AssertionError, match="empty folders"):
        check(folder)
    (folder / "_internal" / "link").symlink_to("torch")
    with pytest.raises(AssertionError, match="links"):
        check(folder)


def test_what_stays_in_the_source_tree_exists_under_that_name() -> None:
    """A module that is renamed would be shipped."""
    tree = ast.parse((PACKAGING / "sidecar.spec").read_text())
    lists = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    names = ast.literal_eval(lists["ONLY_IN_THE_SOURCE_TREE"])
    assert "sidecar.executors.scripted" in names
    assert [name for name in names if find_spec(name) is None] == []


@pytest.mark.slow
def test_the_frozen_folder() -> None:
    smoke_test = load("smoke_test")
    if not smoke_test.FOLDER.exists():
        pytest.skip("`make package` was not run")
    done = subprocess.run(
        [sys.executable, str(PACKAGING / "smoke_test.py")],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
