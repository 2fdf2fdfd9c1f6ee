"""`make package-test`: tries the frozen folder out as an application would, and says what it costs.

The folder is used from a path with a space and letters beyond ASCII, as an installation may have it.
"""

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from sidecar.config import LibrarySettings
from sidecar.library.resolve import DEFAULT_MODEL, resolve_model
from sidecar.lifecycle.guard_process import start_of
from sidecar_client import EngineLost, SyncEngine

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "dist" / "llm-sidecar"
PREFIX = "smoke test ü 测试 "
FOREIGN = (ROOT, Path(sys.prefix), (ROOT / ".venv-package").resolve())
"""Where nothing may be taken from."""
QUESTION = [{"role": "user", "content": "Name the capital of France."}]
LONG_QUESTION = [{"role": "user", "content": "Tell me a long story about a river and its people."}]
STARTS = 5
LARGEST_PARTS = 9
DEADLINE_SECONDS = 120
GONE_SECONDS = 2.0


class Place:
    """A copy of the folder where its users might have it, with a model and folders beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "llm-sidecar" / ("sidecar.exe" if os.name == "nt" else "sidecar")
        self.models = folder / "modèles"
        self.environment = dict(os.environ)
        shutil.copytree(FOLDER, folder / "llm-sidecar", copy_function=link_or_copy)
        self.models.mkdir()
        shutil.copy(
            resolve_model(DEFAULT_MODEL, LibrarySettings()).path, self.models / f"{DEFAULT_MODEL}.gguf"
        )
        for name in ("cache", "config", "data", "runtime"):
            home = folder / name
            home.mkdir(mode=0o700)
            self.environment[f"XDG_{name.upper()}_{'DIR' if name == 'runtime' else 'HOME'}"] = str(home)

    def spawn(self, executor: str = "native") -> SyncEngine:
        """An engine out of the folder."""
        options = {"model_dirs": [str(self.models)], "executor": executor}
        return SyncEngine.spawn(
            [str(self.program)],
            app_id="smoke-test",
            options=options,
            restart=None,
            environment=self.environment,
        )

    def run(self, *command: str | Path) -> "subprocess.CompletedProcess[str]":
        """One command to its end, which must be a good one."""
        return subprocess.run(
            [str(word) for word in command],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=True,
        )

    def processes(self) -> list[psutil.Process]:
        """Every process that runs the program."""
        return [
            process for process in psutil.process_iter(["exe"]) if process.info["exe"] == str(self.program)
        ]


def main() -> int:
    """Runs every check; the first that fails ends it."""
    if not FOLDER.exists():
        print(f"{FOLDER} is not there: `make package` makes it", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        place = Place(Path(folder))
        for check in (
            check_files, check_command_line, check_native_chat, check_conversion, check_guard, check_kill,
            check_no_source_is_read,
        ):  # fmt: skip
            began = time.monotonic()
            found = check(place)
            print(f"✓ {found} ({time.monotonic() - began:.1f} s)", flush=True)
        if place.processes():
            raise AssertionError(f"left behind: {place.processes()}")
        print(f"\nstart: {start_times(place)}")
    print("\n" + sizes(FOLDER))
    return 0


def check_files(place: Place) -> str:
    """The folder as it was built."""
    return check_folder(FOLDER)


def check_folder(folder: Path) -> str:
    """What bundlers need: no links and no empty folders, which they copy or drop."""
    files = list(folder.rglob("*"))
    links = [file for file in files if file.is_symlink()]
    expect(not links, f"links: {links}")
    empty = [path for path in files if path.is_dir() and not any(path.iterdir())]
    expect(not empty, f"empty folders: {empty}")
    return f"{len(files)} files and folders, no links"


def check_command_line(place: Place) -> str:
    """The same program serves people."""
    version = place.run(place.program, "--version").stdout.strip()
    doctor = place.run(place.program, "doctor", "--quick", "--model-dir", place.models).stdout
    expect("native" in doctor, doctor)
    return version


def check_native_chat(place: Place) -> str:
    """Handshake, load, chat."""
    with place.spawn() as engine:
        info = engine.info()
        expect("native" in info.executors, f"executors: {info.executors}")
        status = engine.models.load(DEFAULT_MODEL)
        expect(status.executor == "native", f"runs on {status.executor}")
        answer = engine.chat.create(messages=QUESTION, temperature=0, max_tokens=16)
        text = str(answer.choices[0].message.content)
        expect("Paris" in text, text)
        check_loaded_libraries(place, psutil.Process(info.pid))
        memory = psutil.Process(info.pid).memory_info().rss
    return f"native: {status.quantization}, {text!r}, {memory / 2**20:.0f} MiB"


def check_loaded_libraries(place: Place, process: psutil.Process) -> None:
    """No library out of the source tree or its environments is in the process."""
    if not hasattr(process, "memory_maps"):
        return
    libraries = [entry.path for entry in process.memory_maps()]
    expect(any(path.startswith(str(place.folder)) for path in libraries), f"{libraries}")
    foreign = [path for path in libraries if any(Path(path).is_relative_to(tree) for tree in FOREIGN)]
    expect(not foreign, f"loaded from outside: {foreign}")


def check_conversion(place: Place) -> str:
    """What torch needs is converted by the same binary, into a folder with a name beyond ASCII."""
    with place.spawn("torch") as engine:
        if "torch" not in engine.info().executors:
            return "no torch in this folder, nothing to convert"
        with engine.models.load_stream(DEFAULT_MODEL) as stream:
            stages = [event.stage for event in stream]
            status = stream.result()
        expect("convert" in stages, f"stages: {stages}")
        answer = engine.chat.create(messages=QUESTION, temperature=0, max_tokens=16)
        text = str(answer.choices[0].message.content)
        expect("Paris" in text, text)
    return f"torch: converted to {status.quantization}, {text!r}"


def check_guard(place: Place) -> str:
    """The same binary ends the groups it was told of when its stdin ends."""
    if os.name == "nt":
        return "the guard is a job, not a process"
    group = subprocess.Popen(["/bin/sh", "-c", "sleep 600 & wait"], start_new_session=True)
    guard = subprocess.Popen(
        [str(place.program), "--guard"], stdin=subprocess.PIPE, start_new_session=True, env=place.environment
    )
    began = time.monotonic()
    guard.communicate(f"add {group.pid} {start_of(group.pid)}\n".encode(), timeout=DEADLINE_SECONDS)
    seconds = time.monotonic() - began
    expect(guard.returncode == 0, f"the guard ended with {guard.returncode}")
    expect(group.wait(GONE_SECONDS) == -signal.SIGTERM, f"the group ended with {group.returncode}")
    return f"the guard ends what it was told of, {seconds * 1000:.0f} ms after its own start"


def check_kill(place: Place) -> str:
    """A killed engine is a typed error, and nothing of it is left."""
    with place.spawn() as engine:
        pid = engine.info().pid
        stream = engine.chat.stream(messages=LONG_QUESTION, max_tokens=1000)
        text = stream.text()
        next(text)
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        try:
            rest = "".join(text)
        except EngineLost as error:
            seconds = time.monotonic() - began
            expect(error.exit_status == -signal.SIGKILL, f"exit status {error.exit_status}")
            expect(seconds < GONE_SECONDS, f"told after {seconds:.1f} s")
        else:
            raise AssertionError(f"a killed engine went on: {rest!r}")
    return f"killed in the middle of a stream: told after {seconds * 1000:.0f} ms"


def check_no_source_is_read(place: Place) -> str:
    """From start to end no file of the source tree or its environments is even looked for."""
    if shutil.which("strace") is None:
        return "no strace here: whether the source tree is read was not checked"
    trace = place.folder / "trace"
    place.run(
        *("strace", "-f", "-qq", "-e", "trace=%file", "-o", trace),
        *(place.program, "chat", "Hello", "--spawn", "--model-dir", place.models, "--max-tokens", "4"),
    )
    accesses = trace.read_text(errors="replace").splitlines()
    foreign = [line for line in accesses if any(f'"{tree}/' in line for tree in FOREIGN)]
    expect(not foreign, "looked for outside:\n" + "\n".join(foreign[:20]))
    return f"{len(accesses)} file accesses, none to the source tree"


def start_times(place: Place) -> str:
    """Medians of spawn → ready (welcomed) and spawn → loaded, with everything in the file cache."""
    ready, loaded = [], []
    for _ in range(STARTS):
        began = time.monotonic()
        with place.spawn() as engine:
            ready.append(time.monotonic() - began)
            engine.models.load(DEFAULT_MODEL)
            loaded.append(time.monotonic() - began)
    return (
        f"spawn → ready {statistics.median(ready) * 1000:.0f} ms, "
        f"→ loaded {statistics.median(loaded) * 1000:.0f} ms (medians of {STARTS})"
    )


def sizes(folder: Path) -> str:
    """The folder's size and its largest parts."""
    parts: dict[str, int] = {}
    for file, size in files_of(folder):
        path = file.relative_to(folder).parts
        name = path[1] if path[0] == "_internal" else path[0]
        parts[name] = parts.get(name, 0) + size
    largest = sorted(parts.items(), key=lambda part: -part[1])
    rest = largest[LARGEST_PARTS:]
    rows = [*largest[:LARGEST_PARTS], (f"{len(rest)} others", sum(size for _, size in rest))]
    lines = [f"{size / 1e6:8.1f} MB  {name}" for name, size in rows]
    return "\n".join([f"{sum(parts.values()) / 1e6:8.1f} MB  {folder}", *lines])


def link_or_copy(source: str, target: str) -> None:
    """The same file under another name; a copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def files_of(folder: Path) -> Iterator[tuple[Path, int]]:
    """Files and their bytes."""
    for file in folder.rglob("*"):
        if file.is_file():
            yield file, file.stat().st_size


def expect(holds: bool, otherwise: str) -> None:
    """Ends the test unless it holds."""
    if not holds:
        raise AssertionError(otherwise)


if __name__ == "__main__":
    raise SystemExit(main())
