"""What a streamed chat token costs the processor beyond the engine: the protocol, and HTTP in its stead.

The engine is the paced one, so nothing but the way of a token is left. Both ways are taken in turn,
with the same conversations at the same pace, and the engine's own share is taken off both.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from benchmarks.bench.engines import sidecar_options
from benchmarks.bench.http_server import PATH
from benchmarks.bench.paced import PACED, paced_engine
from benchmarks.bench.paced_sidecar import paced_command
from benchmarks.bench.processor import processor_seconds
from benchmarks.bench.rows import Bar, Row, row
from benchmarks.folders import PROJECT_DIR
from sidecar.generation import GenerationParams, InferenceRequest
from sidecar_client import Engine

STEP_SECONDS = 0.01
ANSWER_TOKENS = {1: 300, 32: 150}
"""Tokens of each answer, by the number of streams."""
MESSAGES = [{"role": "user", "content": "Sing."}]
PROMPT = "<|im_start|>user\nSing.<|im_end|>\n<|im_start|>assistant\n"
HTTP_BAR = Bar(50)

Talk = Callable[[int, int], Awaitable[int]]
"""Streams and tokens of each answer → tokens that came."""


async def measure_token_cost(folder: Path, *, repeats: int) -> list[Row]:
    """Rows of the protocol's cost, HTTP's, and the one as a share of the other."""
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(
            Engine.spawn(
                paced_command(STEP_SECONDS),
                app_id="benchmark",
                options=sidecar_options(folder, executor=PACED),
                restart=None,
            )
        )
        ours = engine.pid
        assert ours is not None
        theirs, talk_http = await stack.enter_async_context(_http())
        talk_ours = _talker(engine)
        for streams, answer in ANSWER_TOKENS.items():
            rows += await _rows(streams, answer, repeats, (ours, talk_ours), (theirs, talk_http))
    return rows


async def _rows(
    streams: int,
    answer: int,
    repeats: int,
    ours: tuple[int, Talk],
    theirs: tuple[int, Talk],
) -> list[Row]:
    for pid, talk in (ours, theirs):
        await _cost(pid, talk, streams, answer // 4, 0.0)
    client_us, server_us, http_us = [], [], []
    for _ in range(repeats):
        engine_us = await asyncio.to_thread(_engine_us, streams, answer)
        client, server = await _cost(*ours, streams, answer, engine_us)
        client_us.append(client)
        server_us.append(server)
        http_us.append(sum(await _cost(*theirs, streams, answer, engine_us)))
    both_us = [client + server for client, server in zip(client_us, server_us, strict=True)]
    share = [100 * both / http for both, http in zip(both_us, http_us, strict=True)]
    name = f"processor time per streamed chat token, {streams} stream{'s' if streams > 1 else ''}"
    return [
        row(f"{name}: client", "µs", client_us),
        row(f"{name}: sidecar beyond its engine", "µs", server_us),
        row(f"{name}: both", "µs", both_us),
        row(f"{name}: the same over HTTP, both", "µs", http_us),
        row(f"{name}: of that over HTTP", "%", share, HTTP_BAR),
    ]


async def _cost(pid: int, talk: Talk, streams: int, answer: int, engine_us: float) -> tuple[float, float]:
    """Microseconds a token of this process, and of the other beyond its engine."""
    here, there = time.process_time(), processor_seconds(pid)
    tokens = await talk(streams, answer)
    client = time.process_time() - here
    server = processor_seconds(pid) - there
    return client / tokens * 1e6, server / tokens * 1e6 - engine_us


def _talker(engine: Engine) -> Talk:
    async def one(answer: int) -> int:
        chat = engine.chat.stream(model=PACED, messages=MESSAGES, max_tokens=answer)
        text = "".join([piece async for piece in chat.text()])
        await chat.result()
        return len(text)

    async def talk(streams: int, answer: int) -> int:
        return sum(await asyncio.gather(*(one(answer) for _ in range(streams))))

    return talk


@asynccontextmanager
async def _http() -> AsyncIterator[tuple[int, Talk]]:
    """The server's process, and streams from it the way OpenAI's own client reads them: lines, then JSON."""
    with _start_server() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(await asyncio.to_thread(process.stdout.readline))
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=60, limits=limits, trust_env=False
        ) as client:

            async def one(answer: int) -> int:
                body = {"model": PACED, "messages": MESSAGES, "max_tokens": answer, "stream": True}
                pieces: list[str] = []
                async with client.stream("POST", PATH, json=body) as response:
                    response.raise_for_status()
                    async for line in response.aiter_lines():
                        if line.startswith("data: {"):
                            choices = json.loads(line[len("data: ") :])["choices"]
                            pieces += [choice["delta"].get("content") or "" for choice in choices]
                return len("".join(pieces))

            async def talk(streams: int, answer: int) -> int:
                return sum(await asyncio.gather(*(one(answer) for _ in range(streams))))

            yield process.pid, talk
        process.stdin.close()


def _start_server() -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.bench.http_server", str(STEP_SECONDS)]
    return subprocess.Popen(
        command, cwd=PROJECT_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _engine_us(streams: int, answer: int) -> float:
    """Microseconds a token of the engine for the same conversations, with nothing around it."""
    with paced_engine(STEP_SECONDS) as engine:
        prompt = tuple(engine.tokenize(PROMPT, parse_special=True))
        before = time.process_time()
        for _ in range(streams):
            engine.add_request(InferenceRequest(prompt, GenerationParams(max_tokens=answer)))
        while engine.has_unfinished_requests():
            engine.step()
        return (time.process_time() - before) / (streams * answer) * 1e6
