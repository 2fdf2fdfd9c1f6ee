"""Minutes of mixed load on a real process: nothing is lost, and its resources come back."""

import asyncio
import os
import random

import psutil
import pytest

from sidecar_client import Engine, errors
from sidecar_protocol.chat import ChatChunkEvent

SECONDS = float(os.environ.get("SOAK_SECONDS", "120"))
HOSTS = 24
GROWTH_BYTES = 24 * 2**20
SETTLE_SECONDS = 10.0


def says(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


async def use(engine: Engine, choose: random.Random, until: float) -> int:
    """One host's random traffic; returns how many answers it checked."""
    checked = 0
    while asyncio.get_running_loop().time() < until:
        number = choose.randint(1, 60)
        match choose.randrange(6):
            case 0:
                completion = await engine.chat.create(messages=says(f"count {number}"))
                assert completion.choices[0].message.content == " ".join(map(str, range(1, number + 1)))
                checked += 1
            case 1:
                stream = engine.chat.stream(
                    messages=says(f"count {number}"), n=2, credit=choose.choice([1, 4, 32])
                )
                texts = ["", ""]
                async for event in stream:
                    if isinstance(event, ChatChunkEvent):
                        for choice in event.chunk.choices:
                            texts[choice.index] += choice.delta.content or ""
                completion = await stream.result()
                assert texts == [choice.message.content for choice in completion.choices]
                checked += 1
            case 2:
                async for event in engine.chat.stream(messages=says("talk")):
                    if isinstance(event, ChatChunkEvent) and choose.random() < 0.1:
                        break
            case 3:
                with pytest.raises((errors.Internal, errors.InvalidParams)):
                    await engine.chat.create(
                        messages=says(choose.choice(["fail", "crash"])), max_tokens=number
                    )
            case 4:
                with pytest.raises(errors.DeadlineExceeded):
                    await engine.chat.create(messages=says("slow 20 talk"), deadline_seconds=0.05)
            case _:
                encoded = await engine.tokens.encode(text="x" * number * 100)
                assert len(encoded.token_ids) == number * 100
                checked += 1
    return checked


async def settled(engine: Engine) -> None:
    """Return once nothing runs but the question itself: a cancelled request ends a step later."""
    while True:
        stats = await engine.stats()
        model = stats.models[0]
        if (stats.active_requests, model.running, model.waiting, model.blocks.used) == (1, 0, 0, 0):
            return


@pytest.mark.slow
@pytest.mark.timeout(int(SECONDS) * 2 + 120)
async def test_mixed_load_leaves_memory_and_descriptors_where_they_were() -> None:
    async with Engine.spawn(app_id="soak", options={"executor": "scripted"}) as engine:
        process = psutil.Process(engine.pid)
        loop = asyncio.get_running_loop()

        async def load(seconds: float, seed: int) -> int:
            until = loop.time() + seconds
            return sum(
                await asyncio.gather(*(use(engine, random.Random(seed + i), until) for i in range(HOSTS)))
            )

        await load(SECONDS / 3, 1000)
        before_bytes, before_descriptors = process.memory_info().rss, process.num_fds()
        checked = await load(SECONDS, 1)
        assert checked > SECONDS
        async with asyncio.timeout(SETTLE_SECONDS):
            await settled(engine)
        assert process.num_fds() <= before_descriptors
        assert process.memory_info().rss - before_bytes < GROWTH_BYTES
