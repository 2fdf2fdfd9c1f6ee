"""Tokens per second: the engine directly, and the same work through the protocol, in turn."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.bench.engines import MODEL, open_direct, open_sidecar
from benchmarks.bench.rows import Bar, Row, row
from benchmarks.bench.traffic import chat_prompt_tokens, chat_speed, generate_speed
from benchmarks.peers.cases import Case, decode, prefill, requests
from benchmarks.peers.child import ContestantProcess
from sidecar_client import Engine

PROTOCOL_BAR = Bar(95, at_least=True)
DIRECT_CASES = (decode(1, 64, 96), decode(8, 64, 32), decode(32, 64, 16), prefill(32, 6), prefill(512, 2))
ANSWER_TOKENS = {1: 128, 32: 48}
"""Tokens of each answer, by the number of streams."""
PART_SECONDS = 60.0
"""For each of direct speed, one stream, 32 streams."""


async def measure_throughput(folder: Path, *, rounds: int) -> list[Row]:
    """Rows of direct speed, and of the protocol's share of it; fewer rounds where they take too long."""
    direct = open_direct()
    try:
        async with open_sidecar(folder) as engine:
            await engine.models.load(MODEL)
            rows = _measure_direct(direct, rounds)
            for streams in ANSWER_TOKENS:
                rows += await _measure_protocol(direct, engine, streams, rounds)
            return rows
    finally:
        direct.close()


def _measure_direct(direct: ContestantProcess, rounds: int) -> list[Row]:
    speeds: dict[Case, list[float]] = {case: [] for case in DIRECT_CASES}
    for round_number in _rounds(rounds):
        for case, found in speeds.items():
            found.append(_direct_speed(direct, case, round_number))
    return [row(f"{case.name}: direct", "tokens/s", found) for case, found in speeds.items()]


async def _measure_protocol(
    direct: ContestantProcess, engine: Engine, streams: int, rounds: int
) -> list[Row]:
    """Direct, generate.create and chat.create with prompts and answers of the same lengths, in turn."""
    case = requests(streams, await chat_prompt_tokens(engine), ANSWER_TOKENS[streams])
    # The first time pays for pages and caches that no later one pays for.
    _direct_speed(direct, case, rounds)
    await chat_speed(engine, case, rounds)
    directly, generated, chatted = [], [], []
    for round_number in _rounds(rounds):
        directly.append(_direct_speed(direct, case, round_number))
        generated.append(await generate_speed(engine, case, round_number))
        chatted.append(await chat_speed(engine, case, round_number))
    return [
        row(f"{case.name}: direct", "tokens/s", directly),
        row(f"{case.name}: chat.create", "tokens/s", chatted),
        _share(f"{case.name}: generate.create, of direct", generated, directly),
        _share(f"{case.name}: chat.create, of direct", chatted, directly),
    ]


def _rounds(count: int) -> Iterator[int]:
    """Up to `count` round numbers, at least one; none begins after PART_SECONDS."""
    started = time.perf_counter()
    for number in range(count):
        if number == 0 or time.perf_counter() - started < PART_SECONDS:
            yield number


def _direct_speed(direct: ContestantProcess, case: Case, round_number: int) -> float:
    measurement = direct.measure(case, round_number)
    return measurement.tokens / measurement.seconds


def _share(name: str, through: Sequence[float], directly: Sequence[float]) -> Row:
    """Taken round by round, so that what slows a whole round cancels out."""
    shares = [100 * ours / theirs for ours, theirs in zip(through, directly, strict=True)]
    return row(name, "%", shares, PROTOCOL_BAR)
