"""What must hold for any order of events and credit."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.errors import SidecarError, SlowConsumer
from sidecar.transport.event_stream import EventStream
from sidecar.transport.wire import Wire
from sidecar_protocol.base import Event
from sidecar_protocol.codec import decode, encode_body
from sidecar_protocol.limits import LIMITS, Limits
from tests.support.stage import Fact, Progress, Text


class Link:
    def __init__(self) -> None:
        self.entries: list[list[object]] = []

    def send(self, header: bytes, body: bytes) -> bool:
        entries = decode(body)
        assert isinstance(entries, list)
        self.entries += entries
        return True

    def close(self) -> None:
        raise AssertionError("nothing here closes a link")


class Bench:
    """A stream whose wire is read at once."""

    def __init__(self, credit: int, limits: Limits = LIMITS) -> None:
        self.link = Link()
        self.reasons: list[SidecarError] = []
        self.wire = Wire(self.link, limits, lambda: None, lambda header, body: None)
        self.stream = EventStream(7, credit, self.wire, limits, lambda: None, self.reasons.append)

    def emit(self, event: Event) -> None:
        self.stream.emit(event)
        self.wire.flush()

    def add_credit(self, events: int) -> None:
        self.stream.add_credit(events)
        self.wire.flush()

    def finish(self) -> int:
        sent = self.stream.finish()
        self.wire.flush()
        return sent

    @property
    def events(self) -> list[dict[str, object]]:
        assert [entry[:2] for entry in self.link.entries] == [[7, n] for n in range(len(self.link.entries))]
        return [entry[2] for entry in self.link.entries if isinstance(entry[2], dict)]


def texts(events: Sequence[dict[str, object]]) -> str:
    return "".join(str(event["text"]) for event in events if event["type"] == "text")


def named(events: Sequence[dict[str, object]], kind: str, field: str) -> list[object]:
    return [event[field] for event in events if event["type"] == kind]


steps = st.lists(
    st.one_of(
        st.builds(Text, text=st.text(max_size=5)),
        st.builds(Progress, done=st.integers(0, 1000)),
        st.builds(Fact, fact=st.text(max_size=5)),
        st.integers(0, 3),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(st.integers(0, 5), steps)
async def test_nothing_is_lost_or_sent_without_credit(credit: int, steps: list[Event | int]) -> None:
    bench = Bench(credit)
    emitted: list[Event] = []
    for step in steps:
        if isinstance(step, int):
            credit += step
            bench.add_credit(step)
        else:
            emitted.append(step)
            bench.emit(step)
        assert len(bench.events) <= credit
    assert bench.finish() == len(bench.events)
    assert not bench.reasons
    assert texts(bench.events) == "".join(event.text for event in emitted if isinstance(event, Text))
    assert named(bench.events, "fact", "fact") == [e.fact for e in emitted if isinstance(e, Fact)]
    progress = [event.done for event in emitted if isinstance(event, Progress)]
    sent = named(bench.events, "progress", "done")
    assert sent[-1:] == progress[-1:]
    rest = iter(progress)
    assert all(done in rest for done in sent), "a subsequence of what was emitted"
    assert_order_is_kept(emitted, bench.events)


def assert_order_is_kept(emitted: list[Event], sent: list[dict[str, object]]) -> None:
    """Each text arrives between the same two facts as it was emitted."""

    def between_facts(kinds: list[tuple[str, object]]) -> list[str]:
        groups = [""]
        for kind, content in kinds:
            if kind == "fact":
                groups.append("")
            elif kind == "text":
                groups[-1] += str(content)
        return groups

    before = [
        ("text", e.text) if isinstance(e, Text) else ("fact" if isinstance(e, Fact) else "progress", None)
        for e in emitted
    ]
    after = [(str(event["type"]), event.get("text")) for event in sent]
    assert between_facts(before) == between_facts(after)


@settings(deadline=None)
@given(st.lists(st.integers(0, 400), max_size=40), st.booleans())
async def test_what_is_held_never_passes_its_bound(sizes: list[int], joining: bool) -> None:
    limits = Limits(held_bytes=2000)
    bench = Bench(0, limits)
    for size in sizes:
        bench.emit(Text(text="x" * size) if joining else Fact(fact="x" * size))
    bench.finish()
    held = sum(len(encode_body(event)) for event in bench.events)
    assert held <= limits.held_bytes
    if bench.reasons:
        assert [type(reason) for reason in bench.reasons] == [SlowConsumer]
    else:
        wanted = sum(sizes)
        assert sum(len(str(event.get("text", event.get("fact")))) for event in bench.events) == wanted


async def test_equal_events_are_told_apart() -> None:
    bench = Bench(0)
    for event in (Fact(fact="same"), Progress(done=1), Fact(fact="same"), Progress(done=1)):
        bench.emit(event)
    bench.finish()
    assert [event["type"] for event in bench.events] == ["fact", "fact", "progress"]
