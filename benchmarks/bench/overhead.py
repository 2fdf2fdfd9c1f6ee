"""What is not the model: an event's bytes there and back, and a chat whose beginning is known."""

import time

import msgspec

from benchmarks.bench.engines import MODEL
from benchmarks.bench.rows import Bar, Row, row
from sidecar_client import Engine
from sidecar_client.calls import event_reader
from sidecar_protocol.chat import ChatChunkEvent, ChatCompletionChunk, ChatDelta, ChunkChoice
from sidecar_protocol.codec import decode, encode_body

EVENTS = 3000
EVENT_BAR = Bar(20)
WARM_PREFIX_BAR = Bar(50)
Entries = list[tuple[int, int, object]]


def measure_event(*, repeats: int) -> Row:
    """One event of a chat, from the sidecar's type to the client's."""
    _event_us()
    return row(
        "encode and decode one chat event, both sides", "µs", [_event_us() for _ in range(repeats)], EVENT_BAR
    )


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


def _event_us() -> float:
    """Microseconds for what the two sides do to the bytes of a step's message that holds one event."""
    choice = ChunkChoice(index=0, delta=ChatDelta(content=" lighthouse"))
    chunk = ChatCompletionChunk(
        id="chatcmpl-0123456789abcdef",
        object="chat.completion.chunk",
        created=1_700_000_000,
        model=MODEL,
        choices=[choice],
    )
    event = ChatChunkEvent(chunk=chunk)
    encoder = msgspec.msgpack.Encoder()
    read = event_reader("chat.create")
    started = time.perf_counter()
    for number in range(EVENTS):
        message = encoder.encode([(7, number, msgspec.Raw(encode_body(event)))])
        ((_, _, plain),) = msgspec.convert(decode(message), Entries)
        read(plain)
    return (time.perf_counter() - started) / EVENTS * 1e6
