"""Converting: in a process of its own, once for all who ask, stoppable, nothing half-done left."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from sidecar.config import LibrarySettings
from sidecar.errors import Cancelled, ModelLoadFailed, Unsupported
from sidecar.executors import registry
from sidecar.executors.base import ConvertedModel
from sidecar.library import convert
from sidecar.library.convert import converted_cache, prepare_model
from sidecar.library.files import is_locked, process_lock
from sidecar.models.open import open_model
from sidecar.models.source import ModelSource
from tests.support.copying_executor import CopyingKind, command
from tests.support.gguf_writer import write_tiny_llama

DEADLINE = 60.0
HOLD_LOCK = """
import sys
from pathlib import Path
from sidecar.library.files import process_lock
with process_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def source(tmp_path: Path) -> ModelSource:
    return open_model(write_tiny_llama(tmp_path / "tiny.gguf"))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LibrarySettings:
    monkeypatch.setattr(convert, "converter_command", command)
    return LibrarySettings(cache_dir=tmp_path / "cache")


def prepare(
    source: ModelSource,
    settings: LibrarySettings,
    quantization: str = "copy",
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ConvertedModel:
    return prepare_model(source, CopyingKind(), quantization, settings, progress, cancelled)


def converters() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_a_model_is_converted_once_and_then_found(
    source: ModelSource, settings: LibrarySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, str]] = []
    model = prepare(source, settings, progress=lambda fraction, stage: seen.append((fraction, stage)))
    assert model.folder is not None
    for name, tensor in source.tensors.items():
        assert (model.folder / "tensors" / name).read_bytes() == bytes(tensor.data)
    assert [fraction for fraction, _ in seen] == sorted(fraction for fraction, _ in seen)
    assert seen[-1] == (1.0, "copying")
    monkeypatch.setattr(convert, "converter_command", lambda: ["/nowhere"])
    assert prepare(source, settings).folder == model.folder
    assert [entry.model for entry in converted_cache(settings).entries()] == [str(source.path)]


def test_a_model_that_runs_as_it_is_is_left_alone(source: ModelSource, settings: LibrarySettings) -> None:
    assert prepare(source, settings, "none") == ConvertedModel(source, "none")
    assert not settings.cache_dir.exists()


def test_what_a_library_prints_is_no_message(source: ModelSource, settings: LibrarySettings) -> None:
    assert prepare(source, settings, "chatter").folder is not None


def test_cancelling_ends_the_converter_and_leaves_nothing(
    source: ModelSource, settings: LibrarySettings
) -> None:
    started = threading.Event()

    def progress(fraction: float, stage: str) -> None:
        if stage == "copying":
            assert len(converters()) == 1
            started.set()

    with pytest.raises(Cancelled):
        prepare(source, settings, "stall", progress, started.is_set)
    assert converters() == []
    assert converted_cache(settings).entries() == []
    assert [path for path in (settings.cache_dir / "converted").iterdir() if path.is_dir()] == []


def test_an_exception_of_the_listener_ends_the_converter(
    source: ModelSource, settings: LibrarySettings
) -> None:
    def progress(fraction: float, stage: str) -> None:
        if stage == "copying":
            raise KeyError("listener")

    with pytest.raises(KeyError, match="listener"):
        prepare(source, settings, "stall", progress)
    assert converters() == []


def test_the_executors_own_error_arrives(source: ModelSource, settings: LibrarySettings) -> None:
    with pytest.raises(Unsupported, match="this executor has no such quantization"):
        prepare(source, settings, "refuse")


def test_a_crash_says_the_converters_last_words(source: ModelSource, settings: LibrarySettings) -> None:
    with pytest.raises(ModelLoadFailed, match=r"ended with status 1: the disk caught fire"):
        prepare(source, settings, "crash")


def test_a_converter_that_is_killed_costs_one_load(source: ModelSource, settings: LibrarySettings) -> None:
    def progress(fraction: float, stage: str) -> None:
        for process in converters():
            process.kill()

    with pytest.raises(ModelLoadFailed, match=r"ended with status -9|status 1"):
        prepare(source, settings, "stall", progress)
    assert prepare(source, settings).folder is not None


def test_two_who_ask_at_once_get_one_conversion(source: ModelSource, settings: LibrarySettings) -> None:
    stages: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(prepare, source, settings, "copy", lambda fraction, stage: stages.append(stage))
            for _ in range(2)
        ]
        folders = {future.result(DEADLINE).folder for future in asked}
    assert len(folders) == 1
    assert stages.count("copying") == len(source.tensors) + 1


def test_waiting_for_another_process_can_be_cancelled(
    source: ModelSource, settings: LibrarySettings, tmp_path: Path
) -> None:
    lock = tmp_path / "some.lock"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLD_LOCK,
            str(lock),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(lock)
        with pytest.raises(Cancelled), process_lock(lock, lambda: True):
            raise AssertionError("the lock was taken twice")
        holder.kill()
        holder.wait()
        with process_lock(lock):
            assert is_locked(lock)


def test_a_model_that_changes_meanwhile_is_refused(source: ModelSource, settings: LibrarySettings) -> None:
    def progress(fraction: float, stage: str) -> None:
        if fraction == 1.0:
            replacement = source.path.with_name("new.gguf")
            write_tiny_llama(replacement, seed=1)
            replacement.replace(source.path)

    with pytest.raises(ModelLoadFailed, match="was changed while it was converted"):
        prepare(source, settings, "copy", progress)
    assert converted_cache(settings).entries() == []


def test_a_cache_that_cannot_be_written_says_so(source: ModelSource, settings: LibrarySettings) -> None:
    settings.cache_dir.write_text("a file where the folder should be")
    with pytest.raises(ModelLoadFailed, match="converted model cannot be kept"):
        prepare(source, settings)


def test_the_converter_ends_when_its_parent_is_gone(source: ModelSource, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    process = subprocess.Popen(command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        job = f'{{"path": "{source.path}", "executor": "x", "quantization": "stall", "target": "{target}"}}\n'
        process.stdin.write(job.encode())
        process.stdin.flush()
        assert b"copying" in process.stdout.readline()
        process.stdin.close()
        assert process.wait(DEADLINE) == 3


def test_the_real_command_answers_a_job_it_cannot_read() -> None:
    process = subprocess.Popen(convert.converter_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"nonsense\n")
        process.stdin.flush()
        assert b'"error": "invalid_message"' in process.stdout.readline()
        assert process.wait(DEADLINE) == 1


def test_the_real_converter_fills_the_cache_for_the_torch_executor(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the torch executor is not installed")
    kind = registry.executor_kind("torch")
    source = open_model(write_tiny_llama(tmp_path / "tiny.gguf", quantization="Q4_1"))
    settings = LibrarySettings(cache_dir=tmp_path / "cache")
    seen: list[float] = []
    assert kind.needs_conversion(source, "int8")
    model = prepare_model(
        source, kind, "int8", settings, lambda fraction, stage: seen.append(fraction), lambda: False
    )
    assert model.folder is not None
    assert sum(file.stat().st_size for file in model.folder.iterdir()) > source.config.parameter_count
    assert seen[-1] == 1.0
    [entry] = converted_cache(settings).entries()
    assert (entry.executor, entry.quantization, entry.folder) == ("torch", "int8", model.folder)
