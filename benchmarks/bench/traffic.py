"""Work that goes through the protocol: many streams at once with the Python client."""

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from benchmarks.bench.engines import MODEL
from benchmarks.peers.cases import Case, random_prompt
from sidecar_client import Engine
from sidecar_protocol.generate import GenerateChunkEvent

SOME_VOCABULARY = 40_000
"""Prompts of raw tokens use ids below it."""


async def generate_speed(engine: Engine, case: Case, round_number: int) -> float:
    """Tokens per second of a "requests" case as streamed generate.create."""

    async def one(stream: int) -> int:
        prompt = random_prompt(case.context, SOME_VOCABULARY, name=f"generate {round_number} {stream}")
        events = engine.generate.stream(
            model=MODEL, prompt=prompt, max_tokens=case.steps, temperature=0.0, ignore_eos=True
        )
        chunks = [event async for event in events if isinstance(event, GenerateChunkEvent)]
        return sum(len(chunk.token_ids) for chunk in chunks)

    return await _speed([one(stream) for stream in range(case.streams)])


async def chat_speed(engine: Engine, case: Case, round_number: int) -> float:
    """The same as streamed chat.create; prompts have the length that `chat_prompt_tokens` says."""

    async def one(stream: int) -> int:
        chat = engine.chat.stream(
            model=MODEL,
            messages=chat_messages(round_number, stream),
            max_tokens=case.steps,
            temperature=0.0,
            ignore_eos=True,
        )
        async for _ in chat.text():
            pass
        return (await chat.result()).usage.completion_tokens

    return await _speed([one(stream) for stream in range(case.streams)])


async def chat_prompt_tokens(engine: Engine) -> int:
    """Length of every conversation of `chat_messages`."""
    return (await engine.tokens.count(model=MODEL, messages=chat_messages(0, 0))).count


def chat_messages(round_number: int, stream: int) -> Sequence[Mapping[str, object]]:
    """A conversation that differs from the others right at its beginning, so that no cache knows it."""
    number = f"{round_number:03d}{stream:03d}"
    return [
        {
            "role": "system",
            "content": f"{number} is your name. You tell stories about the sea and its weather.",
        },
        {
            "role": "user",
            "content": "Tell me a long story about a lighthouse, its keeper and a winter storm.",
        },
    ]


async def _speed(streams: Sequence[Coroutine[Any, Any, int]]) -> float:
    started = time.perf_counter()
    tokens = sum(await asyncio.gather(*streams))
    return tokens / (time.perf_counter() - started)
