"""Commands that start an engine of their own, and `--socket` itself."""

import contextlib
import json
import signal
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from sidecar.config import LibrarySettings
from sidecar.library.convert import converted_cache
from sidecar.library.converted_cache import ConversionKey
from sidecar_client import SyncEngine
from tests.cli.conftest import COMMAND, DEADLINE_SECONDS, Run, serving
from tests.support.terminal import Terminal


def test_chat_starts_its_own_engine_and_leaves_none(run: Run, environment: Mapping[str, str]) -> None:
    done = run("chat", "count 3", "--executor", "scripted")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 2 3\n", "")
    assert [process for process in psutil.process_iter() if belongs_to(process, environment)] == []


def test_models_of_a_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(b"GGUF" + bytes(1000))
    found = json.loads(run("models", "--json", "--model-dir", tmp_path).stdout)["models"]
    assert (found[0]["name"], found[0]["origin"]) == ("mine", "folder")


def test_load_says_that_nothing_keeps_it(run: Run) -> None:
    done = run("models", "load", "default", "--executor", "scripted")
    assert done.returncode == 0
    assert "sidecar --socket" in done.stderr


def test_cache_lists_and_cleans(run: Run, tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "weights").write_bytes(bytes(5000))

    cache = converted_cache(LibrarySettings(cache_dir=tmp_path))
    cache.add(ConversionKey("content", "torch", 1, "int8"), "my-model", write)
    listed = run("models", "cache", "--cache-dir", tmp_path).stdout
    assert "my-model" in listed
    assert "int8" in listed
    (entry,) = json.loads(run("models", "cache", "--json", "--cache-dir", tmp_path).stdout)
    assert (entry["model"], entry["bytes"]) == ("my-model", 5000)
    assert run("models", "cache", "--clean", "--cache-dir", tmp_path).stdout.startswith("5 KiB freed")
    assert cache.entries() == []
    assert "no converted model" in run("models", "cache", "--cache-dir", tmp_path).stderr


def test_doctor_checks_everything_and_chats(run: Run) -> None:
    done = run("doctor", "--executor", "scripted", "--json")
    assert done.returncode == 0, done.stdout
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert {
        "system",
        "packages",
        "engine",
        "cache",
        "data",
        "runtime",
        "model",
        "start",
        "load",
        "chat",
        "end",
    } <= set(checks)
    assert all(check["passed"] for check in checks.values())
    assert "ready after" in checks["start"]["finding"]
    assert "tokens/s" in checks["chat"]["finding"]


def test_doctor_says_what_to_do_about_a_broken_part(run: Run, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    done = run("doctor", "--cache-dir", blocked / "cache", "--model", "no-such-model")
    assert done.returncode == 1
    assert "✗ cache" in done.stdout
    assert "✗ model" in done.stdout
    assert "--model-dir" in done.stdout
    assert "start" not in done.stdout
    assert "\x1b" not in done.stdout


def test_socket_says_how_to_attach_and_ends_on_ctrl_c(environment: Mapping[str, str], tmp_path: Path) -> None:
    with serving(environment, str(tmp_path / "s"), "--app-id", "mine") as (process, path):
        with SyncEngine.connect(path) as first, SyncEngine.connect(path) as second:
            assert first.info().app_id == second.info().app_id == "mine"
            assert "engine.watch" in first.welcome.methods
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 0
        assert not path.exists()


def test_socket_ends_when_it_is_told_to(environment: Mapping[str, str]) -> None:
    with serving(environment) as (process, path):
        with SyncEngine.connect(path) as engine:
            engine.shutdown()
        assert process.wait(DEADLINE_SECONDS) == 0


def test_ctrl_c_ends_an_answer_with_130(environment: Mapping[str, str]) -> None:
    with Terminal([*COMMAND, "chat", "slow 5 talk", "--executor", "scripted"], environment) as terminal:
        terminal.expect("la la la")
        terminal.press_ctrl_c()
        assert terminal.wait() == 130
        assert "Traceback" not in terminal.printed


def test_an_engine_that_dies_on_the_way_ends_with_4(environment: Mapping[str, str]) -> None:
    with Terminal([*COMMAND, "chat", "slow 5 talk", "--executor", "scripted"], environment) as terminal:
        terminal.expect("la la la")
        (engine,) = psutil.Process(terminal.process.pid).children()
        engine.kill()
        terminal.expect("sidecar: the engine was killed by SIGKILL")
        assert terminal.wait() == 4


@pytest.mark.model
def test_chat_with_the_default_model(run: Run) -> None:
    done = run(
        "chat",
        "What is photosynthesis? Answer briefly.",
        "--temperature",
        "0",
        "--max-tokens",
        "32",
        "--stats",
    )
    assert done.returncode == 0, done.stderr
    assert "Photosynthesis" in done.stdout
    assert "tokens/s" in done.stderr


@pytest.mark.model
def test_doctor_with_the_default_model(run: Run) -> None:
    done = run("doctor")
    assert done.returncode == 0, done.stdout
    assert "✓ chat" in done.stdout
    assert "✓ end" in done.stdout


def belongs_to(process: psutil.Process, environment: Mapping[str, str]) -> bool:
    """Whether it was started for these tests, by whomever."""
    with contextlib.suppress(psutil.Error):
        return process.environ().get("XDG_RUNTIME_DIR") == environment["XDG_RUNTIME_DIR"]
    return False
