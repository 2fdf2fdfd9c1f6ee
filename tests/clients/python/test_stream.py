"""Streams: order, credit, gaps, and every way of leaving one, against an engine played by hand."""

import asyncio
import gc
from collections.abc import AsyncIterable, Callable

import pytest

from sidecar_client import ChatStream, Engine, errors
from sidecar_protocol.chat import ChatChunkEvent
from sidecar_protocol.common import QueuedEvent
from sidecar_protocol.envelope import Kind
from sidecar_protocol.limits import LIMITS
from tests.support.fake_engine import FakeEngine

QUEUED = {"type": "queued", "position": 2}
USAGE = {
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "total_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 0},
}
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"},
    ],
    "usage": USAGE,
    "timings": {"queued_ms": 0, "prefill_ms": 1.5, "decode_ms": 2},
}


def chunk(text: str, choice: int = 0) -> dict[str, object]:
    return {
        "type": "chunk",
        "chunk": {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": choice, "delta": {"content": text}}],
        },
    }


async def read(events: AsyncIterable[object], take: Callable[[object], object] = lambda _: None) -> None:
    async for event in events:
        take(event)


async def open_stream(fake: FakeEngine, engine: Engine, *, credit: int = 32) -> tuple[ChatStream, int]:
    stream = engine.chat.stream(messages=[{"role": "user", "content": "Hi"}], credit=credit)
    header, _ = await fake.next(Kind.REQUEST)
    assert header.credit == credit
    return stream, header.id or 0


async def test_events_then_the_whole_result(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    await fake.send_events(request_id, QUEUED, chunk("Hel"), chunk("lo"))
    await fake.send(Kind.RESULT, COMPLETION, id=request_id, s=3)
    events = [event async for event in stream]
    assert events[0] == QueuedEvent(position=2)
    texts = [event.chunk.choices[0].delta.content for event in events if isinstance(event, ChatChunkEvent)]
    assert texts == ["Hel", "lo"]
    completion = await stream.result()
    assert completion.choices[0].message.content == "Hello"
    assert completion.usage.total_tokens == 3


async def test_text_is_that_of_one_choice(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    await fake.send_events(request_id, QUEUED, chunk("a"), chunk("other", choice=1), chunk("b"))
    await fake.send(Kind.RESULT, COMPLETION, id=request_id, s=4)
    assert [text async for text in stream.text()] == ["a", "b"]


async def test_event_types_of_tomorrow_are_passed_over(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    await fake.send_events(request_id, {"type": "of_tomorrow"}, {"type": ["queued"]}, "queued", QUEUED)
    await fake.send(Kind.RESULT, COMPLETION, id=request_id, s=4)
    assert [event async for event in stream] == [QueuedEvent(position=2)]


async def test_an_event_of_another_shape_is_an_error(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    await fake.send_events(request_id, {"type": "queued", "position": "first"})
    with pytest.raises(errors.InvalidMessage, match=r"chat\.create"):
        await read(stream)
    assert (await fake.next(Kind.CANCEL))[0].id == request_id


async def test_the_error_comes_after_the_events_before_it(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    await fake.send_events(request_id, chunk("so far"))
    await fake.send(Kind.ERROR, {"code": "context_overflow", "message": "too long"}, id=request_id, s=1)
    texts: list[object] = []
    with pytest.raises(errors.ContextOverflow, match="too long"):
        await read(stream.text(), texts.append)
    assert texts == ["so far"]
    with pytest.raises(errors.ContextOverflow):
        await stream.result()


async def test_reading_gives_credit_back(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine, credit=4)
    reader = stream.text()
    await fake.send_events(request_id, *[chunk(str(number)) for number in range(4)])
    await fake.round_trip()
    assert fake.count(Kind.CREDIT) == 0
    await anext(reader)
    await fake.round_trip()
    assert fake.count(Kind.CREDIT) == 0
    await anext(reader)
    header, _ = await fake.next(Kind.CREDIT)
    assert (header.id, header.credit) == (request_id, 2)


async def test_credit_beyond_what_the_engine_gives_is_counted_as_what_it_gives(
    fake: FakeEngine, engine: Engine
) -> None:
    stream = engine.stream("generate.create", {"prompt": "x"}, credit=1000)
    header, _ = await fake.next(Kind.REQUEST)
    assert header.credit == LIMITS.credit
    half = LIMITS.credit // 2
    await fake.send_events(header.id or 0, *[{"type": "of_tomorrow"}] * half)
    reader = aiter(stream)
    for _ in range(half):
        await anext(reader)
    assert (await fake.next(Kind.CREDIT))[0].credit == half
    stream.cancel()


async def test_a_stream_without_credit_is_refused_here(engine: Engine) -> None:
    with pytest.raises(errors.InvalidParams) as caught:
        engine.stream("generate.create", {"prompt": "x"}, credit=0)
    assert caught.value.data["parameter"] == "credit"


async def test_a_reader_that_does_not_read_gives_no_credit(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine, credit=2)
    await fake.send_events(request_id, chunk("a"), chunk("b"))
    await fake.round_trip()
    assert fake.count(Kind.CREDIT) == 0
    stream.cancel()


async def test_waiting_for_the_result_alone_gives_credit(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine, credit=2)
    waiting = asyncio.ensure_future(stream.result())
    await fake.send_events(request_id, chunk("a"), chunk("b"))
    assert (await fake.next(Kind.CREDIT))[0].credit == 1
    await fake.send(Kind.RESULT, COMPLETION, id=request_id, s=2)
    assert (await waiting).id == "c"


async def test_a_result_wanted_inside_the_loop_keeps_the_events(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine, credit=2)
    texts: list[str] = []
    await fake.send_events(request_id, chunk("a"), chunk("b"))
    async for text in stream.text():
        texts.append(text)
        if text == "a":
            waiting = asyncio.ensure_future(stream.result())
            await fake.next(Kind.CREDIT)
            await fake.send_events(request_id, chunk("c"), start=2)
            await fake.send(Kind.RESULT, COMPLETION, id=request_id, s=3)
            await waiting
    assert texts == ["a", "b", "c"]


async def test_a_gap_ends_the_stream(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    await fake.send_events(request_id, chunk("a"))
    await fake.send_events(request_id, chunk("c"), start=2)
    with pytest.raises(errors.InvalidMessage, match="event 1 is missing"):
        await read(stream)
    assert (await fake.next(Kind.CANCEL))[0].id == request_id


async def test_a_terminal_that_counts_more_events_is_a_gap(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    await fake.send_events(request_id, chunk("a"))
    await fake.send(Kind.RESULT, COMPLETION, id=request_id, s=2)
    with pytest.raises(errors.InvalidMessage, match="2 events were sent, 1 have arrived"):
        await stream.result()


async def test_break_cancels_and_what_still_comes_is_thrown_away(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    await fake.send_events(request_id, chunk("a"), chunk("b"))
    async for text in stream.text():
        assert text == "a"
        break
    assert (await fake.next(Kind.CANCEL))[0].id == request_id
    await fake.send_events(request_id, chunk("c"), start=2)
    partial = {"code": "cancelled", "message": "cancelled", "data": {"partial": COMPLETION}}
    await fake.send(Kind.ERROR, partial, id=request_id, s=3)
    with pytest.raises(errors.Cancelled) as caught:
        await stream.result()
    assert caught.value.partial == COMPLETION
    events: list[object] = []
    with pytest.raises(errors.Cancelled):
        await read(stream, events.append)
    assert events == []


async def test_an_exception_in_the_loop_cancels(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    await fake.send_events(request_id, chunk("a"))
    with pytest.raises(KeyError):
        await read(stream.text(), {}.__getitem__)
    assert (await fake.next(Kind.CANCEL))[0].id == request_id


async def test_a_cancelled_reader_task_cancels(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    task = asyncio.ensure_future(read(stream))
    await fake.round_trip()
    task.cancel()
    assert (await fake.next(Kind.CANCEL))[0].id == request_id


async def test_closing_cancels_once(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    async with stream:
        await stream.aclose()
    stream.cancel()
    assert (await fake.next(Kind.CANCEL))[0].id == request_id
    await fake.round_trip()
    assert fake.count(Kind.CANCEL) == 0


async def test_a_dropped_stream_cancels(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    del stream
    gc.collect()
    assert (await fake.next(Kind.CANCEL))[0].id == request_id


async def test_a_loop_over_a_temporary_stream_is_not_cancelled(fake: FakeEngine, engine: Engine) -> None:
    async def read_temporary() -> list[str]:
        return [text async for text in engine.chat.stream(messages=[]).text()]

    reading = asyncio.ensure_future(read_temporary())
    header, _ = await fake.next(Kind.REQUEST)
    gc.collect()
    await fake.send_events(header.id or 0, chunk("a"))
    await fake.send(Kind.RESULT, COMPLETION, id=header.id, s=1)
    assert await reading == ["a"]
    assert fake.count(Kind.CANCEL) == 0


async def test_a_finished_stream_sends_no_cancel(fake: FakeEngine, engine: Engine) -> None:
    stream, request_id = await open_stream(fake, engine)
    await fake.send(Kind.RESULT, COMPLETION, id=request_id, s=0)
    assert [event async for event in stream] == []
    stream.cancel()
    del stream
    gc.collect()
    await fake.round_trip()
    assert fake.count(Kind.CANCEL) == 0


async def test_events_of_many_streams_in_one_message(fake: FakeEngine, engine: Engine) -> None:
    first, first_id = await open_stream(fake, engine)
    second, second_id = await open_stream(fake, engine)
    body = [[first_id, 0, chunk("a")], [second_id, 0, chunk("b")], [first_id, 1, chunk("c")], [999, 0, {}]]
    await fake.send(Kind.EVENTS, body)
    await fake.send(Kind.RESULT, COMPLETION, id=first_id, s=2)
    await fake.send(Kind.RESULT, COMPLETION, id=second_id, s=1)
    assert [text async for text in first.text()] == ["a", "c"]
    assert [text async for text in second.text()] == ["b"]


async def test_raw_streams_give_plain_objects(fake: FakeEngine, engine: Engine) -> None:
    stream = engine.stream("models.load", {"model": "m"})
    header, body = await fake.next(Kind.REQUEST)
    assert body == {"model": "m", "stream": True}
    await fake.send_events(header.id or 0, {"type": "loading", "stage": "convert"})
    await fake.send(Kind.RESULT, {"name": "m"}, id=header.id, s=1)
    assert [event async for event in stream] == [{"type": "loading", "stage": "convert"}]
    assert await stream.result() == {"name": "m"}
