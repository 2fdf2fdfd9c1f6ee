"""The converter process: one job from stdin, progress as lines of JSON on stdout, then the end.

Started as `sidecar --convert` by `convert.py`. Closing its stdin ends it.
"""

import json
import os
import threading
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from sidecar.errors import InvalidMessage, SidecarError
from sidecar.executors.registry import executor_kind
from sidecar.library.convert import MAX_LINE_BYTES
from sidecar.models.open import open_model

_NICENESS = 2
"""Other models go on serving meanwhile; their threads come first."""
_ABANDONED = 3


def run_converter() -> int:
    """Do the job that stdin tells; gives the exit status."""
    send = _sender()
    # Unbuffered: a thread that waits in a buffered read would hold its lock when the interpreter ends.
    stdin = os.fdopen(0, "rb", buffering=0, closefd=False)
    line = stdin.readline(MAX_LINE_BYTES)
    threading.Thread(target=_end_with, args=(stdin,), name="stdin-watch", daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    try:
        _run_job(_job(line), send)
    except SidecarError as error:
        send({"error": error.code, "message": error.message})
        return 1
    return 0


def _run_job(job: dict[str, str], send: Callable[[dict[str, object]], None]) -> None:
    kind = executor_kind(job["executor"])
    source = open_model(Path(job["path"]))
    last = -1.0

    def progress(fraction: float, stage: str) -> None:
        nonlocal last
        if fraction >= 1.0 or fraction - last >= 0.01:
            last = fraction
            send({"progress": fraction, "stage": stage})

    kind.convert(source, job["quantization"], Path(job["target"]), progress)


def _job(line: bytes) -> dict[str, str]:
    try:
        job = json.loads(line)
    except ValueError:
        job = None
    names = ("path", "executor", "quantization", "target")
    if not isinstance(job, dict) or not all(isinstance(job.get(name), str) for name in names):
        raise InvalidMessage(f"stdin must begin with one line of JSON with the strings {', '.join(names)}")
    return {name: job[name] for name in names}


def _sender() -> Callable[[dict[str, object]], None]:
    """Writes messages to what was stdout; whatever a library prints from now on goes to stderr."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: dict[str, object]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    return send


def _end_with(stdin: FileIO) -> None:
    """End this process as soon as the one that started it has closed the pipe, or is gone."""
    while stdin.read(4096):
        pass
    os._exit(_ABANDONED)
