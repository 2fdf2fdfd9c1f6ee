"""What the protocol costs: a ping, an event, a token's processor time with the model taken out."""

import asyncio
import time
from pathlib import Path

import msgspec
import psutil

from benchmarks.bench.engines import MODEL, open_sidecar
from benchmarks.bench.rows import Bar, Row, row
from benchmarks.summary import percentile
from sidecar.engine.config import EngineConfig
from sidecar.engine.inference_engine import InferenceEngine
from sidecar.generation import GenerationParams, InferenceRequest
from sidecar_client import Engine
from sidecar_protocol.chat import ChatChunkEvent, ChatCompletionChunk, ChatDelta, ChunkChoice
from sidecar_protocol.codec import decode, encode_body

SCRIPTED = "scripted"
TALK = "slow 1 talk"
"""What the scripted executor answers at a model's pace: endlessly, a millisecond a token."""
PINGS = 300
EVENTS = 3000
ANSWER_TOKENS = {1: 400, 32: 80}
"""Tokens of each answer, by the number of streams."""
WARM_PREFIX_BAR = Bar(50)


async def measure_overhead(folder: Path, *, repeats: int) -> list[Row]:
    """Every row about what is not the model."""
    rows = [row("encode and decode one chat event, both sides", "µs", [_event_us() for _ in range(repeats)])]
    async with open_sidecar(folder, executor=SCRIPTED) as engine:
        rows.append(await _ping_row(engine))
        for streams in ANSWER_TOKENS:
            rows += await _cpu_rows(engine, streams, repeats)
    return rows


async def measure_warm_prefix(engine: Engine, *, repeats: int) -> Row:
    """A chat whose beginning the cache knows, to its first text."""
    story = " ".join(f"Chapter {number} tells of the sea." for number in range(60))
    times = []
    for index in range(repeats + 1):
        messages = [{"role": "system", "content": story}, {"role": "user", "content": f"Question {index}"}]
        started = time.perf_counter()
        chat = engine.chat.stream(model=MODEL, messages=messages, max_tokens=4, temperature=0.0)
        reader = chat.text()
        await anext(reader)
        times.append((time.perf_counter() - started) * 1000)
        await chat.result()
    return row("first token of a chat with a warm prefix", "ms", times[1:], WARM_PREFIX_BAR)


async def _ping_row(engine: Engine) -> Row:
    times = []
    for _ in range(PINGS):
        started = time.perf_counter()
        await engine.ping()
        times.append((time.perf_counter() - started) * 1e6)
    name = f"engine.ping (median of {PINGS}; 99th percentile {percentile(times, 0.99):,.0f} µs)"
    return row(name, "µs", [percentile(times, 0.5)])


def _event_us() -> float:
    """Microseconds to encode a step's message with one chat event, read it, and make it an event again."""
    choice = ChunkChoice(index=0, delta=ChatDelta(content=" lighthouse"))
    chunk = ChatCompletionChunk(
        id="chatcmpl-0123456789abcdef",
        object="chat.completion.chunk",
        created=1_700_000_000,
        model=MODEL,
        choices=[choice],
    )
    event = ChatChunkEvent(chunk=chunk)
    started = time.perf_counter()
    for number in range(EVENTS):
        body = decode(encode_body([[7, number, event]]))
        assert isinstance(body, list)
        msgspec.convert(body[0][2], ChatChunkEvent)
    return (time.perf_counter() - started) / EVENTS * 1e6


async def _cpu_rows(engine: Engine, streams: int, repeats: int) -> list[Row]:
    """Processor time a streamed token costs the client, and the sidecar beyond its engine.

    The engine alone is measured in this process with the same scripted
    executor, so that both what it and the executor cost can be taken off.
    """
    answer = ANSWER_TOKENS[streams]
    pid = engine.pid
    assert pid is not None
    sidecar = psutil.Process(pid)
    await _talk(engine, streams, answer)
    client_us, beyond_us = [], []
    for _ in range(repeats):
        client_before, sidecar_before = time.process_time(), _cpu_seconds(sidecar)
        tokens = await _talk(engine, streams, answer)
        client = time.process_time() - client_before
        whole = _cpu_seconds(sidecar) - sidecar_before
        client_us.append(client / tokens * 1e6)
        beyond_us.append((whole - _engine_cpu_seconds(streams, answer)) / tokens * 1e6)
    both = [client + beyond for client, beyond in zip(client_us, beyond_us, strict=True)]
    name = f"processor time per streamed chat token, {streams} stream{'s' if streams > 1 else ''}"
    return [
        row(f"{name}: client", "µs", client_us),
        row(f"{name}: sidecar beyond its engine", "µs", beyond_us),
        row(f"{name}: both", "µs", both),
    ]


async def _talk(engine: Engine, streams: int, answer: int) -> int:
    async def one() -> int:
        chat = engine.chat.stream(
            model=SCRIPTED, messages=[{"role": "user", "content": TALK}], max_tokens=answer
        )
        async for _ in chat.text():
            pass
        return (await chat.result()).usage.completion_tokens

    return sum(await asyncio.gather(*(one() for _ in range(streams))))


def _engine_cpu_seconds(streams: int, answer: int) -> float:
    """Processor time of the engine for the same conversations, without protocol, sockets and threads."""
    with InferenceEngine(EngineConfig(model=SCRIPTED, executor=SCRIPTED)) as engine:
        prompt = engine.tokenize(
            f"<|im_start|>user\n{TALK}<|im_end|>\n<|im_start|>assistant\n", parse_special=True
        )
        before = time.process_time()
        for _ in range(streams):
            engine.add_request(InferenceRequest(tuple(prompt), GenerationParams(max_tokens=answer)))
        while engine.has_unfinished_requests():
            engine.step()
        return time.process_time() - before


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
