"""What a sidecar takes from the rest of the computer: memory after a chat, processor time while idle."""

import asyncio
import time
from pathlib import Path

import psutil

from benchmarks.bench.engines import MODEL, open_sidecar
from benchmarks.bench.overhead import measure_warm_prefix
from benchmarks.bench.rows import Bar, Row, row
from benchmarks.bench.traffic import chat_messages

MEMORY_BAR = Bar(700)
IDLE_BAR = Bar(0.5)


async def measure_footprint(folder: Path, *, idle_seconds: float, repeats: int) -> list[Row]:
    """Rows about one sidecar with one model."""
    async with open_sidecar(folder) as engine:
        pid = engine.pid
        assert pid is not None
        process = psutil.Process(pid)
        empty = process.memory_info().rss / 1e6
        await engine.models.load(MODEL)
        await engine.chat.create(model=MODEL, messages=chat_messages(0, 0), max_tokens=64)
        used = process.memory_info().rss / 1e6
        idle = await _idle_percent(process, idle_seconds)
        warm = await measure_warm_prefix(engine, repeats=repeats)
    return [
        row("resident memory after the welcome", "MB", [empty]),
        row("resident memory after loading and one chat", "MB", [used], MEMORY_BAR),
        row("processor while idle with a loaded model, of one core", "%", [idle], IDLE_BAR),
        warm,
    ]


async def _idle_percent(process: psutil.Process, seconds: float) -> float:
    before, started = sum(process.cpu_times()[:2]), time.perf_counter()
    await asyncio.sleep(seconds)
    used = sum(process.cpu_times()[:2]) - before
    return 100 * used / (time.perf_counter() - started)
