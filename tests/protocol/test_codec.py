import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import msgpack
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidecar_protocol.chat import ChatChunkEvent, ChatCompletionChunk, ChatDelta, ChunkChoice
from sidecar_protocol.codec import decode, decode_events, decode_header, encode_body, encode_header
from sidecar_protocol.engine import LogEvent
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ERROR_CODES, ErrorBody, ProtocolError
from sidecar_protocol.limits import LIMITS, MAX_ID, Limits
from sidecar_protocol.structure_scan import scan

VECTORS = json.loads((Path(__file__).parents[2] / "protocol/fixtures/codec.json").read_text(encoding="utf-8"))

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
)
objects = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=50
)


def frame_of(case: dict[str, object]) -> bytes:
    frame = bytes.fromhex(str(case["hex"]))
    if "repeat" in case:
        frame = frame * int(str(case["repeat"])) + bytes.fromhex(str(case["then"]))
    return frame


def error_of(read: Callable[[bytes], object], data: bytes) -> ProtocolError | None:
    """What `read` refuses `data` with; any other exception passes through."""
    try:
        read(data)
    except ProtocolError as error:
        return error
    return None


def with_bytes(value: object) -> object:
    if isinstance(value, dict) and set(value) == {"$bin"}:
        return bytes.fromhex(value["$bin"])
    return value


def depth_of(value: object) -> int:
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth


@pytest.mark.parametrize("case", VECTORS["accept"], ids=lambda case: case["name"])
def test_frames_every_language_accepts(case: dict[str, object]) -> None:
    value = decode(frame_of(case))
    if "value_depth" in case:
        assert depth_of(value) == case["value_depth"]
    else:
        expected = with_bytes(case["value"])
        assert value == expected
        assert type(value) is type(expected)


@pytest.mark.parametrize("case", VECTORS["reject"], ids=lambda case: case["name"])
def test_frames_every_language_rejects(case: dict[str, object]) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(frame_of(case))
    assert caught.value.code == case["code"]
    assert caught.value.code in ERROR_CODES


@settings(deadline=None)
@given(objects)
def test_what_is_encoded_decodes_to_the_same(value: object) -> None:
    assert decode(encode_body(value)) == value


@settings(deadline=None)
@given(objects)
def test_the_scan_accepts_what_is_valid(value: object) -> None:
    scan(encode_body(value), LIMITS, check_text=True)


@settings(deadline=None)
@given(st.binary(max_size=400))
@example(b"\x82\xa1a\x01\xa1a\x02")
@example(b"\x91" * 70 + b"\xc0")
@example(b"\xd6\xff\x00\x00\x00\x00")
def test_any_bytes_give_an_object_or_a_protocol_error(data: bytes) -> None:
    error = error_of(decode, data)
    if error is None:
        value = decode(data)
        assert decode(encode_body(value)) == value
    else:
        assert error.code == "invalid_message"
        assert error.message


@settings(deadline=None)
@given(st.data())
def test_mutated_frames_give_an_object_or_a_protocol_error(data: st.DataObject) -> None:
    frame = bytearray(encode_body(data.draw(objects)))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    error = error_of(decode, bytes(frame))
    if error is None:
        scan(bytes(frame), LIMITS, check_text=True)
        value = decode(bytes(frame))
        assert decode(encode_body(value)) == value
    else:
        assert error.code == "invalid_message"


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_what_the_scan_passes_only_duplicate_keys_can_fail(data: bytes) -> None:
    broken = error_of(lambda frame: scan(frame, LIMITS, check_text=True), data)
    refused = error_of(decode, data)
    if broken is None:
        assert refused is None or "twice" in refused.message
    else:
        assert refused is not None


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_header_or_a_protocol_error(data: bytes) -> None:
    error = error_of(decode_header, data)
    if error is None:
        header = decode_header(data)
        assert decode_header(encode_header(header)) == header
    else:
        assert error.code == "invalid_message"


def test_an_error_names_the_byte() -> None:
    with pytest.raises(ProtocolError, match="byte 4: a string is no UTF-8") as caught:
        decode(b"\x92\x01\xa2a\xff")
    assert caught.value.data == {"offset": 4}


def test_more_elements_than_allowed_are_refused_and_exactly_as_many_are_not() -> None:
    limits = Limits(elements=100_000)
    assert decode(msgpack.packb([0] * 100_000), limits) == [0] * 100_000
    for refuse in (
        lambda: decode(msgpack.packb([[0] * 50_000, [0] * 50_000]), limits),
        lambda: encode_body([[0] * 50_000, [0] * 50_000], limits),
    ):
        with pytest.raises(ProtocolError, match="more than 100000 elements") as caught:
            refuse()
        assert caught.value.code == "too_large"


def test_a_frame_over_the_limit_is_too_large_and_says_its_size() -> None:
    limits = Limits(message_bytes=100)
    assert decode(msgpack.packb(b"x" * 98), limits) == b"x" * 98
    with pytest.raises(ProtocolError) as caught:
        decode(msgpack.packb(b"x" * 99), limits)
    assert caught.value.code == "too_large"
    assert caught.value.data == {"size": 101, "limit": 100}
    assert encode_body(b"x" * 98, limits) == msgpack.packb(b"x" * 98)
    with pytest.raises(ProtocolError) as caught:
        encode_body(b"x" * 99, limits)
    assert caught.value.data == {"size": 101, "limit": 100}


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (math.nan, "finite"),
        ({"x": [1.0, math.inf]}, "finite"),
        ({1: 2}, "keys must be strings"),
        ({"a": {b"b": 2}}, "keys must be strings"),
        (LogEvent(level="info", time=0.0, logger="", message="", fields={"x": math.nan}), "finite"),
        (LogEvent(level="info", time=-math.inf, logger="", message=""), "finite"),
        (LogEvent(level="info", time=0.0, logger="", message="", fields={"x": {1: 2}}), "strings"),
        ("\ud800", "surrogates"),
        (2**64, "ints"),
        (object(), "object is unsupported"),
    ],
    ids=str,
)
def test_what_decode_would_refuse_is_not_encoded(value: object, match: str) -> None:
    with pytest.raises(ProtocolError, match=match) as caught:
        encode_body(value)
    assert caught.value.code == "invalid_message"


def test_deep_objects_are_not_encoded() -> None:
    nested: list[object] = []
    for _ in range(LIMITS.depth - 1):
        nested = [nested]
    assert decode(encode_body(nested)) == nested
    with pytest.raises(ProtocolError, match="deeper than 64"):
        encode_body([nested])
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ProtocolError, match="cannot be encoded"):
        encode_body(nested)


def test_structs_with_text_that_looks_like_nan_are_encoded() -> None:
    error = ErrorBody(code="internal", message="ש", data={"raw": b"\xcb\x7f\xf8"})
    assert msgspec.convert(decode(encode_body(error)), ErrorBody) == error


def test_a_chat_chunk_goes_there_and_back() -> None:
    choice = ChunkChoice(index=0, delta=ChatDelta(content=" fox"))
    chunk = ChatCompletionChunk(
        id="chatcmpl-1", object="chat.completion.chunk", created=1, model="m", choices=[choice]
    )
    event = ChatChunkEvent(chunk=chunk)
    plain = decode(encode_body(event))
    assert isinstance(plain, dict)
    assert plain["type"] == "chunk"
    assert msgspec.convert(plain, ChatChunkEvent) == event


class TestHeader:
    def test_fields_that_are_none_are_left_out(self) -> None:
        assert decode(encode_header(Header(k=Kind.PING, n=7))) == {"k": "ping", "n": 7}

    def test_unknown_fields_are_ignored(self) -> None:
        assert decode_header(msgpack.packb({"k": "req", "id": 1, "future": [1]})) == Header(k="req", id=1)

    @pytest.mark.parametrize("number", [-1, MAX_ID + 1, 2**64 - 1, 1.0, True, "1"])
    @pytest.mark.parametrize("field", ["id", "s", "p", "ttl", "credit", "n"])
    def test_numbers_outside_what_javascript_reads_are_refused(self, field: str, number: object) -> None:
        with pytest.raises(ProtocolError, match=field) as caught:
            decode_header(msgpack.packb({"k": "res", field: number}))
        assert caught.value.code == "invalid_message"

    def test_both_ends_of_the_range_are_accepted(self) -> None:
        assert decode_header(msgpack.packb({"k": "req", "id": MAX_ID, "ttl": 0})).id == MAX_ID

    def test_the_id_of_a_bad_request_header_is_told(self) -> None:
        with pytest.raises(ProtocolError) as caught:
            decode_header(msgpack.packb({"k": "req", "id": 9, "ttl": -1}))
        assert caught.value.data == {"id": 9}

    @pytest.mark.parametrize("plain", [None, 1, [], {}, {"k": 1}, {"k": None}])
    def test_anything_but_a_map_with_a_kind_is_refused(self, plain: object) -> None:
        with pytest.raises(ProtocolError, match="header"):
            decode_header(msgpack.packb(plain))

    def test_a_long_header_is_refused(self) -> None:
        with pytest.raises(ProtocolError) as caught:
            decode_header(msgpack.packb({"k": "req", "x": "y" * 5000}))
        assert caught.value.code == "too_large"


entries = st.lists(st.tuples(st.integers(0, MAX_ID), st.integers(0, MAX_ID), objects), max_size=6)


def read_events(data: bytes) -> object:
    """What `decode_events` must come to, errors with their places included."""
    return msgspec.convert(decode(data), list[tuple[int, int, object]])


def outcome(read: Callable[[bytes], object], data: bytes) -> object:
    try:
        return read(data)
    except (ProtocolError, msgspec.ValidationError) as error:
        return str(error)


@settings(deadline=None)
@given(entries)
def test_events_are_read_as_any_body_is(events: list[tuple[int, int, object]]) -> None:
    assert decode_events(encode_body(events)) == events


@settings(deadline=None, max_examples=300)
@given(entries, st.randoms(use_true_random=False))
def test_mutated_events_are_refused_as_any_body_is(
    events: list[tuple[int, int, object]], choose: random.Random
) -> None:
    frame = bytearray(encode_body(events))
    for _ in range(choose.randint(1, 3)):
        frame[choose.randrange(len(frame))] = choose.randrange(256)
    assert outcome(decode_events, bytes(frame)) == outcome(read_events, bytes(frame))


@pytest.mark.parametrize("levels", [LIMITS.depth - 2, LIMITS.depth - 1])
@pytest.mark.parametrize("count", [1, 5])
def test_an_event_may_be_as_deep_as_the_message_around_it_allows(levels: int, count: int) -> None:
    deep = b"\x91" * levels + b"\xc0"
    frame = bytes([0x90 + count]) + b"".join(b"\x93\x01" + bytes([number]) + deep for number in range(count))
    assert outcome(decode_events, frame) == outcome(read_events, frame)
    assert (error_of(decode_events, frame) is None) == (levels == LIMITS.depth - 2)


def test_many_events_are_read_as_any_body_is() -> None:
    events = [(number, 0, {"text": "x" * 50, "parts": [[], {}]}) for number in range(2_000)]
    assert decode_events(encode_body(events)) == events
