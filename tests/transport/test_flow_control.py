"""Credit, holding, coalescing, batching. Every test runs over both transports."""

from sidecar.service.context import RequestContext
from sidecar_protocol.base import Event
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.limits import DEFAULT_CREDIT, LIMITS, Limits
from tests.support.raw_host import RawHost
from tests.support.site import Build
from tests.support.stage import Fact, Play, Progress, Stage, Text


async def open_stream(
    host: RawHost, stage: Stage, request_id: int = 1, credit: int | None = None
) -> RequestContext:
    """A running stream; the test emits through its context and ends it by `stage.released`."""
    await host.request(request_id, "test.play", {"script": "wait", "stream": True}, credit=credit)
    return await stage.context(request_id)


def facts(count: int, start: int = 0) -> list[object]:
    return [{"type": "fact", "fact": str(number)} for number in range(start, start + count)]


async def finish(host: RawHost, stage: Stage, request_id: int = 1) -> Header:
    stage.released.set()
    header, _ = await host.terminal(request_id)
    return header


async def test_events_come_before_the_result_which_counts_them(host: RawHost, stage: Stage) -> None:
    context = await open_stream(host, stage)
    for number in range(5):
        context.emit(Fact(fact=str(number)))
    header = await finish(host, stage)
    assert header == Header(k=Kind.RESULT, id=1, s=5)
    assert host.events(1) == facts(5)
    assert await host.round_trip() == []


async def test_without_stream_there_are_no_events(host: RawHost, stage: Stage) -> None:
    await host.request(1, "test.play", {"script": "wait"})
    (await stage.context(1)).emit(Fact(fact="unseen"))
    assert await finish(host, stage) == Header(k=Kind.RESULT, id=1, s=0)
    assert host.events(1) == []


async def test_credit_bounds_what_is_sent_and_more_credit_lets_more_out(host: RawHost, stage: Stage) -> None:
    context = await open_stream(host, stage)
    for number in range(DEFAULT_CREDIT + 10):
        context.emit(Fact(fact=str(number)))
    await host.round_trip()
    assert host.events(1) == facts(DEFAULT_CREDIT)
    await host.credit(1, 3)
    await host.round_trip()
    assert host.events(1) == facts(DEFAULT_CREDIT + 3)
    header = await finish(host, stage)
    assert header.s == DEFAULT_CREDIT + 10
    assert host.events(1) == facts(DEFAULT_CREDIT + 10)


async def test_credit_that_is_not_needed_yet_is_kept(host: RawHost, stage: Stage) -> None:
    context = await open_stream(host, stage, credit=1)
    await host.credit(1, 2)
    await host.round_trip()
    for number in range(5):
        context.emit(Fact(fact=str(number)))
    await host.round_trip()
    assert host.events(1) == facts(3)


async def test_credit_is_clamped_however_it_is_given(host: RawHost, stage: Stage) -> None:
    first = await open_stream(host, stage, 1, credit=100_000)
    second = await open_stream(host, stage, 2, credit=1)
    for _ in range(3):
        await host.credit(2, 2**53 - 1)
    await host.round_trip()
    for number in range(LIMITS.credit + 50):
        first.emit(Fact(fact=str(number)))
        second.emit(Fact(fact=str(number)))
    await host.round_trip()
    assert len(host.events(1)) == LIMITS.credit
    assert len(host.events(2)) == LIMITS.credit


async def test_text_without_credit_is_joined_into_one_event(host: RawHost, stage: Stage) -> None:
    context = await open_stream(host, stage, credit=1)
    for letter in "abcdef":
        context.emit(Text(text=letter))
    await host.credit(1, 5)
    await host.round_trip()
    assert host.events(1) == [{"type": "text", "text": "a"}, {"type": "text", "text": "bcdef"}]
    context.emit(Text(text="g"))
    await host.round_trip()
    assert len(host.events(1)) == 3


async def test_text_is_not_joined_across_another_event(host: RawHost, stage: Stage) -> None:
    context = await open_stream(host, stage, credit=0)
    for event in (Text(text="a"), Text(text="b"), Fact(fact="x"), Text(text="c"), Text(text="d")):
        context.emit(event)
    assert (await finish(host, stage)).s == 3
    assert host.events(1) == [
        {"type": "text", "text": "ab"},
        {"type": "fact", "fact": "x"},
        {"type": "text", "text": "cd"},
    ]


async def test_only_the_newest_progress_is_kept_and_nothing_overtakes(host: RawHost, stage: Stage) -> None:
    context = await open_stream(host, stage, credit=0)
    events: list[Event] = [Progress(done=1), Progress(done=2), Fact(fact="x"), Progress(done=3)]
    for event in (*events, Fact(fact="y"), Progress(done=4), Progress(done=5)):
        context.emit(event)
    await finish(host, stage)
    assert host.events(1) == [
        {"type": "fact", "fact": "x"},
        {"type": "fact", "fact": "y"},
        {"type": "progress", "done": 5},
    ]


async def test_a_reader_too_far_behind_ends_its_own_stream_alone(host: RawHost, stage: Stage) -> None:
    slow = await open_stream(host, stage, 1, credit=0)
    quick = await open_stream(host, stage, 2, credit=LIMITS.credit)
    piece = "x" * 1024
    for _ in range(LIMITS.held_bytes // 1024 + 10):
        slow.emit(Text(text=piece))
    quick.emit(Fact(fact="unmoved"))
    header, body = await host.terminal(1)
    assert header.k == Kind.ERROR
    assert body["code"] == "slow_consumer"
    assert header.s == len(host.events(1)) == 1
    (event,) = host.events(1)
    held = len(event["text"])
    assert LIMITS.held_bytes - 2048 < held <= LIMITS.held_bytes
    slow.emit(Text(text="too late"))
    assert await finish(host, stage, 2) == Header(k=Kind.RESULT, id=2, s=1)
    assert host.events(2) == [{"type": "fact", "fact": "unmoved"}]


async def test_facts_are_queued_up_to_the_limit_of_bytes(build: Build, stage: Stage) -> None:
    host = build(limits=Limits(held_bytes=1000)).host()
    await host.hello()
    context = await open_stream(host, stage, credit=2)
    for number in range(200):
        context.emit(Fact(fact=str(number)))
    header, body = await host.terminal(1)
    assert body["code"] == "slow_consumer"
    assert header.s == len(host.events(1))
    assert host.events(1) == facts(header.s)
    assert 30 < header.s < 60


async def test_one_message_carries_the_events_of_all_streams_of_a_step(host: RawHost, stage: Stage) -> None:
    contexts = [await open_stream(host, stage, request_id) for request_id in (1, 2, 3)]
    for context in contexts:
        context.emit(Text(text="a"))
        context.emit(Fact(fact="b"))
    messages = await host.round_trip()
    assert [header.k for header, _ in messages] == [Kind.EVENTS]
    body = messages[0][1]
    assert [entry[:2] for entry in body] == [[1, 0], [1, 1], [2, 0], [2, 1], [3, 0], [3, 1]]


async def test_held_events_leave_in_one_message_before_the_terminal(host: RawHost, stage: Stage) -> None:
    context = await open_stream(host, stage, credit=0)
    for number in range(100):
        context.emit(Fact(fact=str(number)))
    stage.released.set()
    kinds = [header.k for header, _ in await host.receive_until(lambda header: header.k == Kind.RESULT)]
    assert kinds == [Kind.EVENTS, Kind.RESULT]
    assert host.events(1) == facts(100)


async def test_a_message_of_events_never_passes_what_a_receiver_accepts(build: Build, stage: Stage) -> None:
    host = build(limits=Limits(elements=2000)).host()
    await host.hello()
    contexts = [await open_stream(host, stage, request_id, credit=256) for request_id in (1, 2, 3)]
    for context in contexts:
        for number in range(200):
            context.emit(Fact(fact=str(number)))
    messages = await host.round_trip()
    assert len(messages) > 3
    for request_id in (1, 2, 3):
        assert host.events(request_id) == facts(200)


async def test_an_event_over_the_message_limit_ends_its_request(build: Build, stage: Stage) -> None:
    host = build(limits=Limits(message_bytes=5000)).host()
    await host.hello()
    context = await open_stream(host, stage)
    context.emit(Fact(fact="first"))
    context.emit(Text(text="x" * 4990))
    header, body = await host.terminal(1)
    assert (header.k, header.s, body["code"]) == (Kind.ERROR, 1, "too_large")
    assert host.events(1) == [{"type": "fact", "fact": "first"}]


async def test_more_streams_than_allowed_are_busy_and_an_ended_one_makes_room(
    build: Build, stage: Stage
) -> None:
    host = build(limits=Limits(streams=3)).host()
    await host.hello()
    for request_id in (1, 2, 3):
        await open_stream(host, stage, request_id)
    await host.request(4, "test.play", {"script": "wait", "stream": True})
    header, body = await host.receive()
    assert (header.id, body["code"]) == (4, "busy")
    await host.request(5, "test.play", {"value": "no stream needed"})
    assert (await host.terminal(5))[0].k == Kind.RESULT
    await host.cancel(2)
    await host.terminal(2)
    await open_stream(host, stage, 6)
    assert (await finish(host, stage, 6)).k == Kind.RESULT


async def test_a_hundred_streams_with_full_credit(host: RawHost, stage: Stage) -> None:
    contexts = [await open_stream(host, stage, number, credit=LIMITS.credit) for number in range(100)]
    for number in range(50):
        for context in contexts:
            context.emit(Fact(fact=str(number)))
    stage.released.set()
    for number in range(100):
        if not any(header.id == number for header, _ in host.seen):
            await host.terminal(number)
        assert host.events(number) == facts(50)


async def test_cancel_sends_what_was_held_and_counts_it(host: RawHost, stage: Stage) -> None:
    context = await open_stream(host, stage, credit=1)
    for number in range(4):
        context.emit(Fact(fact=str(number)))
    await host.cancel(1)
    header, body = await host.terminal(1)
    assert (header.k, header.s, body["code"]) == (Kind.ERROR, 4, "cancelled")
    assert host.events(1) == facts(4)


async def test_an_event_that_is_no_message_fails_its_request(host: RawHost, stage: Stage) -> None:
    @stage.script
    async def broken(params: Play, context: RequestContext) -> object:
        context.emit(Text(text="\ud800"))
        return None

    await host.request(1, "test.play", {"script": "broken", "stream": True})
    _, body = await host.terminal(1)
    assert body["code"] == "internal"
