"""The two ways to the same engine: through the protocol, and directly as a library; a process each."""

from pathlib import Path

from benchmarks.folders import CACHE_DIR
from benchmarks.machine import usable_cores
from benchmarks.peers.child import ContestantProcess
from benchmarks.peers.environment import OURS
from sidecar.library.resolve import DEFAULT_MODEL
from sidecar_client import Engine
from sidecar_client.engine import Opening

MODEL = DEFAULT_MODEL
CONVERTED_DIR = CACHE_DIR / "converted"


def sidecar_options(
    data_dir: Path, *, cache_dir: Path | None = None, executor: str | None = None
) -> dict[str, object]:
    """Options of a spawn that touch nothing of the user's."""
    options: dict[str, object] = {
        "data_dir": str(data_dir),
        "cache_dir": str(cache_dir or CONVERTED_DIR),
        "threads": usable_cores(),
        "log_level": "warning",
    }
    return {**options, "executor": executor} if executor else options


def open_sidecar(data_dir: Path, *, cache_dir: Path | None = None, executor: str | None = None) -> Opening:
    """A sidecar of our own through the Python client."""
    options = sidecar_options(data_dir, cache_dir=cache_dir, executor=executor)
    return Engine.spawn(app_id="benchmark", options=options, restart=None)


def open_direct() -> ContestantProcess:
    """The library with the model loaded and the sidecar's settings, in a process that measures on request."""
    process = ContestantProcess(OURS.command("benchmarks.peers.sidecar_peer"), "direct")
    options = {"executor": "auto", "quantization": "auto", "threads": usable_cores()}
    process.load(Path(MODEL), options, [])
    return process
