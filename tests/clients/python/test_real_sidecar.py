"""The client and the sidecar together: a real process with the scripted executor."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from sidecar_client import Engine, EngineLost, StartFailed, SyncEngine, errors
from sidecar_protocol.chat import ChatCompletion
from sidecar_protocol.chat_messages import UserMessage
from sidecar_protocol.common import LoadingEvent
from tests.support.loops import LoopWithoutReaders


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with Engine.spawn(app_id="tests", options={"executor": "scripted"}, restart=None) as spawned:
        yield spawned


def say(text: str) -> list[UserMessage]:
    return [UserMessage(content=text)]


async def test_chat_whole_and_streamed(engine: Engine) -> None:
    completion = await engine.chat.create(messages=say("count 5"))
    assert completion.choices[0].message.content == "1 2 3 4 5"
    stream = engine.chat.stream(messages=say("count 5"))
    assert "".join([text async for text in stream.text()]) == "1 2 3 4 5"
    assert (await stream.result()).usage.completion_tokens == completion.usage.completion_tokens


def test_a_loop_that_cannot_watch_descriptors_chats_as_well() -> None:
    async def chat() -> str:
        async with Engine.spawn(app_id="tests", options={"executor": "scripted"}, restart=None) as engine:
            stream = engine.chat.stream(messages=say("count 5"))
            return "".join([text async for text in stream.text()])

    with asyncio.Runner(loop_factory=LoopWithoutReaders) as runner:
        assert runner.run(chat()) == "1 2 3 4 5"


async def test_every_namespace(engine: Engine) -> None:
    assert (await engine.info()).app_id == "tests"
    loading = engine.models.load_stream("default")
    stages = [event.stage async for event in loading]
    assert stages[0] == "resolve"
    assert (await loading.result()).executor == "scripted"
    assert [model.name for model in (await engine.models.status()).models] == ["default"]
    encoded = await engine.tokens.encode(text="ab")
    assert (await engine.tokens.decode(token_ids=encoded.token_ids)).text == "ab"
    assert (await engine.tokens.count(messages=say("ab"))).count > 2
    generation = await engine.generate.create(prompt="abc", max_tokens=3)
    assert generation.choices[0].text == "def"
    stream = engine.generate.stream(prompt="abc", max_tokens=3)
    assert "".join([text async for text in stream.text()]) == "def"
    assert (await engine.ping()).phase == "idle"
    assert (await engine.stats()).models[0].completion_tokens > 0
    await engine.set_log_level("debug")
    await engine.models.unload("default")
    assert (await engine.models.status()).models == []
    assert isinstance((await engine.models.list()).models, list)


async def test_a_first_chat_tells_how_the_load_goes(engine: Engine) -> None:
    events = [event async for event in engine.chat.stream(messages=say("hi"))]
    assert isinstance(events[0], LoadingEvent)


async def test_errors_of_the_engine(engine: Engine) -> None:
    with pytest.raises(errors.MethodNotFound):
        await engine.call("engine.nonsense")
    with pytest.raises(errors.InvalidParams, match="messages"):
        await engine.call("chat.create", {"mesages": []})
    with pytest.raises(errors.Unauthorized):
        await engine.watch().result()
    with pytest.raises(errors.TooLarge):
        await engine.tokens.encode(text="x" * (17 * 2**20))


async def test_a_deadline_gives_what_there_was_by_then(engine: Engine) -> None:
    await engine.models.load("default")
    with pytest.raises(errors.DeadlineExceeded) as caught:
        await engine.chat.create(messages=say("slow 5 talk"), deadline_seconds=2.0)
    partial = caught.value.partial
    assert isinstance(partial, dict)
    assert partial["choices"][0]["message"]["content"].startswith("la")


async def test_leaving_a_stream_stops_the_work(engine: Engine) -> None:
    stream = engine.chat.stream(messages=say("slow 2 talk"))
    async for _ in stream.text():
        break
    with pytest.raises(errors.Cancelled):
        await stream.result()
    # The error may come a step before the engine lets go.
    async with asyncio.timeout(2):
        while (await engine.stats()).models[0].running:
            pass


async def test_a_reader_that_does_not_read_disturbs_nobody(engine: Engine) -> None:
    # Slow, so that it cannot end meanwhile: an end lets all held events go.
    idle = engine.chat.stream(messages=say("slow 5 talk"), credit=4)
    reader = idle.text()
    await anext(reader)
    for _ in range(5):
        assert (await engine.chat.create(messages=say("count 9"))).usage.completion_tokens == 18
    assert idle._request.buffered <= 4
    idle.cancel()


async def test_many_streams_at_once_are_each_whole(engine: Engine) -> None:
    async def answer(number: int) -> tuple[str, ChatCompletion]:
        stream = engine.chat.stream(messages=say(f"count {number}"), credit=3)
        text = "".join([piece async for piece in stream.text()])
        return text, await stream.result()

    numbers = range(1, 41)
    for number, (text, completion) in zip(numbers, await asyncio.gather(*map(answer, numbers)), strict=True):
        assert text == " ".join(map(str, range(1, number + 1)))
        assert completion.choices[0].message.content == text


async def test_logs_are_streamed(engine: Engine) -> None:
    reading = asyncio.ensure_future(anext(aiter(engine.logs())))
    with pytest.raises(errors.Internal):
        await engine.chat.create(messages=say("crash"))
    async with asyncio.timeout(10):
        record = await reading
    assert record.level == "error"


async def test_a_sidecar_killed_in_the_middle_is_reported_within_a_second(engine: Engine) -> None:
    stream = engine.chat.stream(messages=say("slow 5 talk"))
    reader = stream.text()
    await anext(reader)
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    lost = await _loss(reader)
    assert time.monotonic() - began < 1
    assert lost.exit_status == -signal.SIGKILL
    assert lost.may_have_executed


async def _loss(reader: AsyncIterator[str]) -> EngineLost:
    # What came before the kill may still be read.
    try:
        async for _ in reader:
            pass
    except EngineLost as lost:
        return lost
    raise AssertionError("the stream ended as if nothing had happened")


async def test_closing_lets_running_requests_finish() -> None:
    async with Engine.spawn(app_id="tests", options={"executor": "scripted"}) as engine:
        await engine.models.load("default")
        running = asyncio.ensure_future(engine.chat.create(messages=say("slow 5 count 20")))
        stream = engine.chat.stream(messages=say("count 1"))
        await stream.result()
        await engine.close(grace_seconds=20)
        assert (await running).choices[0].finish_reason == "stop"


async def test_wrong_options_are_explained() -> None:
    with pytest.raises(StartFailed, match="did you mean 'threads'") as caught:
        await Engine.spawn(app_id="tests", options={"thread": 1})
    assert caught.value.code == "invalid_params"


async def test_a_folder_of_the_same_name_is_not_taken_for_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sidecar").mkdir()
    (tmp_path / "sidecar" / "__main__.py").write_text("print('hijacked', flush=True)")
    monkeypatch.chdir(tmp_path)
    async with Engine.spawn(app_id="tests", options={"executor": "scripted"}) as engine:
        assert (await engine.info()).pid == engine.pid


def test_without_asyncio() -> None:
    with SyncEngine.spawn(app_id="tests", options={"executor": "scripted"}) as engine:
        assert "".join(engine.chat.stream(messages=say("count 4")).text()) == "1 2 3 4"
        assert engine.generate.create(prompt="abc", max_tokens=2).choices[0].text == "de"
        for _ in engine.chat.stream(messages=say("talk")).text():
            break
        assert engine.chat.create(messages=say("count 2")).choices[0].message.content == "1 2"
    assert psutil.Process().children() == []
