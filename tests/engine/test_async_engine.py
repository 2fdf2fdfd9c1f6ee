import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from sidecar.engine.async_engine import AsyncInferenceEngine
from sidecar.engine.engine_thread import EngineThread
from sidecar.engine.info import LoadProgress, LoadStage
from sidecar.errors import Conflict, ContextOverflow, InternalError, ModelNotLoaded
from sidecar.executors.base import ExecutionBatch
from sidecar.executors.scripted import Controls, Script
from sidecar.generation import FinishReason, GenerationOutput, GenerationParams, InferenceRequest
from tests.support.scripted import DEADLINE, Gate, scripted_config, scripted_engine


def alphabet(tokens: list[int], choice: int) -> int:
    return b"abcdefghijklmnopqrstuvwxyz"[len(tokens) % 26]


@asynccontextmanager
async def running(
    script: Script = alphabet, before_execute: Callable[[ExecutionBatch], None] | None = None, **settings: Any
) -> AsyncIterator[AsyncInferenceEngine]:
    thread = EngineThread()
    engine = scripted_engine(script, Controls(before_execute), **settings)
    try:
        yield AsyncInferenceEngine.attach(engine, thread)
    finally:
        await asyncio.wait_for(thread.close(), DEADLINE)


def request(prompt: bytes = b"x", request_id: str | None = None, **params: Any) -> InferenceRequest:
    return InferenceRequest(tuple(prompt), GenerationParams(**params), request_id)


async def last_of(engine: AsyncInferenceEngine, wanted: InferenceRequest) -> GenerationOutput:
    async with aclosing(engine.stream(wanted)) as outputs:
        return [output async for output in outputs][-1]


async def test_a_stream_gives_each_step_and_then_the_whole() -> None:
    async with running() as engine:
        outputs = [output async for output in engine.stream(request(max_tokens=3))]
    assert [chunk.text for output in outputs for chunk in output.chunks] == list("bcd")
    assert [output.finished for output in outputs] == [False, False, True]
    assert outputs[-1].text == "bcd"


async def test_a_step_s_text_arrives_while_the_next_one_computes() -> None:
    gate = Gate(free_steps=1)
    async with (
        running(before_execute=gate) as engine,
        aclosing(engine.stream(request(max_tokens=3))) as outputs,
    ):
        async with asyncio.timeout(DEADLINE):
            first = await anext(outputs)
        assert [chunk.text for chunk in first.chunks] == ["b"]
        await gate.wait_until_reached()
        gate.opened.set()


async def test_generate_and_generate_stream_are_the_same_awaited() -> None:
    async with running() as engine:
        whole = await engine.generate(b"x", GenerationParams(max_tokens=5))
        chunks = [chunk async for chunk in engine.generate_stream(b"x", GenerationParams(max_tokens=5))]
    assert whole.text == "".join(chunk.text for chunk in chunks) == "bcdef"
    assert whole.token_ids == tuple(b"bcdef")


async def test_many_streams_at_once_get_what_each_gets_alone() -> None:
    async with running(max_running_requests=4, max_batch_tokens=40) as engine:
        prompts = [bytes([number]) * (number + 1) for number in range(20)]
        outputs = await asyncio.gather(
            *(engine.generate(prompt, GenerationParams(max_tokens=30)) for prompt in prompts)
        )
    for prompt, output in zip(prompts, outputs, strict=True):
        expected = bytes(b"abcdefghijklmnopqrstuvwxyz"[(len(prompt) + index) % 26] for index in range(30))
        assert bytes(output.token_ids) == expected


async def test_what_the_engine_refuses_is_raised() -> None:
    async with running(context_length=20) as engine:
        with pytest.raises(ContextOverflow):
            await engine.generate(bytes(20))
        with pytest.raises(ContextOverflow):
            await anext(engine.stream(request(bytes(20))))
        assert (await engine.generate(b"x", GenerationParams(max_tokens=1))).text == "b"


async def test_a_request_id_in_use_is_refused_and_the_first_goes_on() -> None:
    gate = Gate()
    async with running(before_execute=gate) as engine:
        first = asyncio.create_task(last_of(engine, request(request_id="r", max_tokens=2)))
        await gate.wait_until_reached()
        with pytest.raises(Conflict):
            await anext(engine.stream(request(request_id="r")))
        gate.opened.set()
        assert (await first).text == "bc"


async def test_leaving_a_stream_cancels_its_request() -> None:
    gate = Gate(free_steps=1)
    async with running(before_execute=gate) as engine:
        async with aclosing(engine.stream(request(max_tokens=900))) as outputs:
            async for output in outputs:
                assert output.chunks
                break
        gate.opened.set()
        # Commands keep their order, so the cancel has come before this request.
        await engine.generate(b"y", GenerationParams(max_tokens=1))
        stats = engine.stats()
    assert (stats.running, stats.waiting) == (0, 0)
    assert stats.generated_tokens < 900


async def test_cancelling_the_waiting_task_cancels_the_request() -> None:
    gate = Gate()
    async with running(before_execute=gate) as engine:
        task = asyncio.create_task(engine.generate(b"x", GenerationParams(max_tokens=900)))
        await gate.wait_until_reached()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert gate.batch is not None
        assert gate.batch.rows[0].cancel[0]
        gate.opened.set()
        await engine.generate(b"y", GenerationParams(max_tokens=1))
        assert engine.stats().running == 0


async def test_cancel_request_ends_the_stream_with_what_there_is() -> None:
    gate = Gate(free_steps=3)
    async with running(before_execute=gate) as engine:
        texts = []
        async for output in engine.stream(request(request_id="r", max_tokens=900)):
            texts += [chunk.text for chunk in output.chunks]
            if len(texts) == 3:
                engine.cancel_request("r")
                gate.opened.set()
        assert output.finished
        assert output.error is None
        assert output.finish_reason is FinishReason.CANCELLED
        assert output.text == "".join(texts)
        engine.cancel_request("r")
        engine.cancel_request("never heard of")


async def test_a_cancel_that_overtakes_its_request_still_finds_it() -> None:
    gate = Gate()
    async with running(before_execute=gate, max_running_requests=1, max_batch_tokens=20) as engine:
        busy = asyncio.create_task(last_of(engine, request(b"y", "busy", max_tokens=1)))
        await gate.wait_until_reached()
        queued = asyncio.create_task(last_of(engine, request(b"x", "queued", max_tokens=900)))
        await asyncio.sleep(0)
        engine.cancel_request("queued")
        gate.opened.set()
        assert (await queued).finish_reason is FinishReason.CANCELLED
        assert (await busy).finish_reason is FinishReason.LENGTH


async def test_a_failed_request_ends_its_stream_with_the_error_and_generate_raises_it() -> None:
    def crash(tokens: list[int], choice: int) -> int:
        if len(tokens) == 4:
            raise ValueError("secret")
        return alphabet(tokens, choice)

    async with running(crash) as engine:
        output = await last_of(engine, request(max_tokens=9))
        assert isinstance(output.error, InternalError)
        assert output.text == "bcd"
        with pytest.raises(InternalError):
            await engine.generate(b"x", GenerationParams(max_tokens=9))
        with pytest.raises(InternalError):
            [chunk async for chunk in engine.generate_stream(b"x", GenerationParams(max_tokens=9))]


async def test_a_dead_engine_ends_its_requests_and_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thread = EngineThread()
    gate = Gate(free_steps=3)
    sick, healthy = scripted_engine(alphabet, Controls(gate)), scripted_engine(alphabet)
    sick_face, healthy_face = (AsyncInferenceEngine.attach(engine, thread) for engine in (sick, healthy))

    def die() -> None:
        raise ZeroDivisionError

    streams = [
        asyncio.create_task(last_of(sick_face, request(b"x" * size, max_tokens=900))) for size in (1, 2)
    ]
    other = asyncio.create_task(healthy_face.generate(b"x", GenerationParams(max_tokens=500)))
    await gate.wait_until_reached()
    monkeypatch.setattr(sick._scheduler, "schedule", die)
    gate.opened.set()
    for output in await asyncio.gather(*streams):
        assert output.finished
        assert isinstance(output.error, InternalError)
        assert output.finish_reason is FinishReason.ERROR
    assert len((await other).token_ids) == 500
    assert isinstance(sick_face.failure, InternalError)
    with pytest.raises(InternalError, match="died of a bug"):
        await sick_face.generate(b"x")
    assert (await healthy_face.generate(b"x", GenerationParams(max_tokens=1))).text == "b"
    await asyncio.wait_for(sick_face.close(), DEADLINE)
    await asyncio.wait_for(thread.close(), DEADLINE)


async def test_engines_of_one_thread_take_turns() -> None:
    order: list[str] = []
    thread = EngineThread()
    gate = Gate()

    def noting(name: str) -> Controls:
        def before_execute(batch: ExecutionBatch) -> None:
            if name == "a":
                gate(batch)
            order.append(name)

        return Controls(before_execute)

    faces = {
        name: AsyncInferenceEngine.attach(scripted_engine(alphabet, noting(name)), thread) for name in "ab"
    }
    first = asyncio.create_task(faces["a"].generate(b"x", GenerationParams(max_tokens=4)))
    await gate.wait_until_reached()
    second = asyncio.create_task(faces["b"].generate(b"x", GenerationParams(max_tokens=4)))
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(first, second)
    await thread.close()
    assert "babab" in "".join(order)


async def test_activity_answers_while_a_step_hangs() -> None:
    gate = Gate()
    async with running(before_execute=gate) as engine:
        assert engine.activity().phase == "idle"
        task = asyncio.create_task(engine.generate(b"x", GenerationParams(max_tokens=1)))
        await gate.wait_until_reached()
        first = engine.activity()
        second = await asyncio.to_thread(engine.activity)
        assert (first.phase, first.model) == ("execute", "scripted")
        assert 0 < first.age < second.age
        gate.opened.set()
        await task
        assert engine.activity().phase == "idle"


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="needs a thread's CPU clock")
async def test_an_idle_engine_uses_no_cpu() -> None:
    async with running() as engine:
        await engine.generate(b"x", GenerationParams(max_tokens=5))
        ident = next(thread.ident for thread in threading.enumerate() if thread.name == "engine")
        assert ident is not None
        clock = time.pthread_getcpuclockid(ident)
        before = time.clock_gettime(clock)
        # Time has to pass here: what is measured is that nothing happens in it.
        await asyncio.sleep(0.3)
        assert time.clock_gettime(clock) - before < 0.001


async def test_closing_cancels_what_runs_and_ends_the_thread() -> None:
    gate = Gate(free_steps=1)
    async with running(before_execute=gate) as engine:
        stream = engine.stream(request(max_tokens=900))
        await anext(stream)
        thread = next(thread for thread in threading.enumerate() if thread.name == "engine")
        closing = asyncio.create_task(engine.close())
        await asyncio.sleep(0)
        gate.opened.set()
        await closing
    rest = [output async for output in stream]
    assert rest[-1].finish_reason is FinishReason.CANCELLED
    assert not thread.is_alive()


async def test_draining_lets_requests_end_and_refuses_new_ones() -> None:
    gate = Gate()
    async with running(before_execute=gate) as engine:
        task = asyncio.create_task(engine.generate(b"x", GenerationParams(max_tokens=20)))
        await gate.wait_until_reached()
        closing = asyncio.create_task(engine.close(drain=True))
        await asyncio.sleep(0)
        late = asyncio.create_task(engine.generate(b"y"))
        await asyncio.sleep(0)
        gate.opened.set()
        with pytest.raises(ModelNotLoaded, match="being unloaded"):
            await late
        await closing
        assert len((await task).token_ids) == 20


async def test_closing_again_while_draining_cancels_after_all() -> None:
    gate = Gate(free_steps=1)
    async with running(before_execute=gate) as engine:
        stream = engine.stream(request(max_tokens=900))
        await anext(stream)
        draining = asyncio.create_task(engine.close(drain=True))
        closing = asyncio.create_task(engine.close())
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(draining, closing)
        assert [output async for output in stream][-1].finish_reason is FinishReason.CANCELLED


async def test_alone_it_loads_on_a_worker_thread_and_owns_its_engine_thread() -> None:
    heard: list[LoadProgress] = []
    engine = AsyncInferenceEngine(scripted_config())
    with pytest.raises(ModelNotLoaded):
        engine.model_info  # noqa: B018
    await engine.start(heard.append)
    assert [item.stage for item in heard if item.fraction == 1.0] == [
        LoadStage.RESOLVE,
        LoadStage.LOAD,
        LoadStage.ALLOCATE,
    ]
    with pytest.raises(Conflict):
        await engine.start()
    tokens = await engine.tokenize(
        "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n", parse_special=True
    )
    output = await engine.generate(tokens)
    assert await engine.detokenize(output.token_ids) == output.text == "hello"
    await asyncio.wait_for(engine.close(), DEADLINE)
    await asyncio.wait_for(engine.close(), DEADLINE)
    with pytest.raises(ModelNotLoaded):
        await asyncio.wait_for(engine.generate(tokens), DEADLINE)


async def test_long_texts_are_encoded_away_from_the_loop() -> None:
    async with AsyncInferenceEngine(scripted_config()) as engine:
        text = "word " * 10_000
        tokens = await engine.tokenize(text)
        assert len(tokens) == 50_000
        assert await engine.detokenize(tokens) == text
