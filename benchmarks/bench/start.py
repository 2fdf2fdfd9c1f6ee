"""From a spawn to a ready line, to a welcome, to a loaded model."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

import msgspec
import zmq

from benchmarks.bench.engines import MODEL, open_sidecar, sidecar_options
from benchmarks.bench.rows import Bar, Row, row
from sidecar_client.engine import default_command
from sidecar_protocol.handshake import ReadyLine, SpawnLine
from sidecar_protocol.version import SUPPORTED_PROTOCOLS

READY_BAR = Bar(300)
LOADED_BAR = Bar(2500)


def ready_line_ms(folder: Path) -> float:
    """Milliseconds from a spawn to the ready line; the sidecar is gone afterwards."""
    spawn = SpawnLine(
        protocols=list(SUPPORTED_PROTOCOLS),
        client_key=zmq.curve_keypair()[0].decode(),
        host_pid=os.getpid(),
        options={**sidecar_options(folder), "app_id": "benchmark"},
    )
    started = time.perf_counter()
    with subprocess.Popen(
        default_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(spawn) + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        elapsed = time.perf_counter() - started
        msgspec.json.decode(line, type=ReadyLine)
    return elapsed * 1000


async def start_to_loaded_ms(folder: Path, *, cache_dir: Path | None = None) -> tuple[float, float]:
    """Milliseconds from a spawn to the welcome, and to a loaded model, as a host sees it."""
    started = time.perf_counter()
    async with open_sidecar(folder, cache_dir=cache_dir) as engine:
        welcomed = time.perf_counter()
        await engine.models.load(MODEL)
        loaded = time.perf_counter()
    return (welcomed - started) * 1000, (loaded - started) * 1000


async def measure_start(*, repeats: int) -> list[Row]:
    """Every row about starting."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = await start_to_loaded_ms(folder, cache_dir=folder / "empty-cache")
        # Brings the shared cache up to date.
        await start_to_loaded_ms(folder)
        ready_line_ms(folder)
        ready = [ready_line_ms(folder) for _ in range(3 * repeats)]
        starts = [await start_to_loaded_ms(folder) for _ in range(repeats)]
    return [
        row("spawn to ready line", "ms", ready, READY_BAR),
        row("spawn to welcome", "ms", [welcomed for welcomed, _ in starts]),
        row("spawn to model loaded", "ms", [loaded for _, loaded in starts], LOADED_BAR),
        row("the same with an empty cache (first start on a computer)", "ms", [first[1]]),
    ]
