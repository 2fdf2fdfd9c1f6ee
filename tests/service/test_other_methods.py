"""engine.*, models.*, tokens.* and generate.* over the wire."""

import asyncio

import psutil
import pytest

from sidecar_client import Engine, errors
from sidecar_protocol.common import LoadingEvent
from sidecar_protocol.generate import GenerateChunkEvent


async def test_info_stats_and_ping_tell_of_this_process(engine: Engine) -> None:
    info = await engine.info()
    assert info.app_id == "service-test"
    assert psutil.pid_exists(info.pid)
    stats = await engine.stats()
    assert stats.connections == 1
    assert stats.active_requests == 1
    assert 2**20 < stats.resident_bytes < 2**30
    assert (await engine.ping()).phase == "idle"


async def test_a_model_is_loaded_with_progress_listed_and_unloaded(engine: Engine) -> None:
    stream = engine.stream("models.load", {"model": "scripted"})
    stages = [event["stage"] async for event in stream]
    assert stages[0] == "resolve"
    assert stages[-1] == "allocate"
    status = (await engine.models.status()).models
    assert [(model.name, model.state, model.executor) for model in status] == [
        ("scripted", "ready", "scripted")
    ]
    await engine.models.unload(model="scripted")
    assert (await engine.models.status()).models == []
    with pytest.raises(errors.ModelNotLoaded, match="in memory: none"):
        await engine.models.unload(model="scripted")


async def test_unloading_ends_what_runs_on_the_model(engine: Engine) -> None:
    stream = engine.generate.stream(prompt="abc", ignore_eos=True, max_tokens=3000)
    async for event in stream:
        if isinstance(event, GenerateChunkEvent):
            await engine.models.unload(model="default")
            break
    assert (await engine.models.status()).models == []


async def test_tokens_there_and_back(engine: Engine) -> None:
    encoded = await engine.tokens.encode(text="héllo<|im_end|>")
    assert 258 not in encoded.token_ids
    assert (await engine.tokens.decode(token_ids=encoded.token_ids)).text == "héllo<|im_end|>"
    assert 258 in (await engine.tokens.encode(text="a<|im_end|>", parse_special=True)).token_ids
    assert (await engine.tokens.count(text="abc")).count == 3
    with pytest.raises(errors.InvalidParams, match="exactly one of text and messages"):
        await engine.tokens.count()
    with pytest.raises(errors.InvalidParams):
        await engine.tokens.decode(token_ids=[10**6])


async def test_generate_from_text_and_from_tokens(engine: Engine) -> None:
    from_text = await engine.generate.create(prompt="abc", max_tokens=3)
    from_tokens = await engine.generate.create(prompt=[97, 98, 99], max_tokens=3)
    assert from_text.choices[0].text == from_tokens.choices[0].text == "def"
    assert from_text.choices[0].finish_reason == "length"
    assert from_text.choices[0].token_ids == [100, 101, 102]
    stream = engine.generate.stream(prompt="abc", max_tokens=3, logprobs=True, top_logprobs=2)
    chunks = [event async for event in stream if isinstance(event, GenerateChunkEvent)]
    result = await stream.result()
    assert "".join(chunk.text for chunk in chunks) == result.choices[0].text == "def"
    assert result.choices[0].logprobs is not None
    assert [item.chosen.token_id for item in result.choices[0].logprobs] == [100, 101, 102]


async def test_a_prompt_longer_than_the_context_is_refused_or_shortened_as_asked(engine: Engine) -> None:
    with pytest.raises(errors.ContextOverflow) as raised:
        await engine.generate.create(prompt="a" * 5000, max_tokens=1)
    assert raised.value.data["context_length"] == 4096
    shortened = await engine.generate.create(prompt="a" * 5000, max_tokens=1, overflow="truncate_middle")
    assert shortened.dropped_tokens > 900
    with pytest.raises(errors.InvalidParams, match=r"params\.prompt is empty"):
        await engine.generate.create(prompt="")


async def test_an_unknown_method_names_the_nearest(engine: Engine) -> None:
    with pytest.raises(errors.MethodNotFound, match=r"engine\.stats"):
        await engine.call("engine.stat", {})


async def test_logs_are_streamed_from_the_asked_level_up(engine: Engine) -> None:
    stream = engine.stream("engine.logs", {"level": "warning"})
    first = asyncio.ensure_future(anext(aiter(stream)))
    async with asyncio.timeout(10):
        while not first.done():
            with pytest.raises(errors.Internal):
                await engine.chat.create(messages=[{"role": "user", "content": "crash"}])
    record = first.result()
    assert record["type"] == "log"
    assert record["level"] in {"warning", "error"}


async def test_watching_is_for_the_debug_door(engine: Engine) -> None:
    with pytest.raises(errors.Unauthorized, match="--socket"):
        await engine.call("engine.watch", {"stream": False})


async def test_loading_events_reach_a_chat_that_loads(engine: Engine) -> None:
    events = [event async for event in engine.generate.stream(prompt="abc", max_tokens=1)]
    assert isinstance(events[0], LoadingEvent)
