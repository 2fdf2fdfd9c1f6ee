"""Bytes to plain objects and back: msgpack, held to the rules both sides rely on.

Strict UTF-8, string keys, no duplicate keys, no trailing bytes, no NaN, no
Infinity, no extension types (so no timestamps), bounded nesting and elements.
`decode` builds plain objects; `msgspec.convert` is what validates them.
"""

import contextlib
from typing import Final

import msgpack
import msgspec

from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ProtocolError
from sidecar_protocol.limits import LIMITS, MAX_HEADER_BYTES, MAX_ID, Limits
from sidecar_protocol.structure_scan import SCAN_ABOVE_BYTES, may_hold_non_finite, needs_scan, scan

_ENCODER: Final = msgspec.msgpack.Encoder()
_ENTRIES_DECODER: Final = msgspec.msgpack.Decoder(list[tuple[int, int, msgspec.Raw]])
_EVENT_LIMITS: Final = msgspec.structs.replace(LIMITS, depth=LIMITS.depth - 2)
_HEADER_LIMITS: Final = Limits(message_bytes=MAX_HEADER_BYTES, depth=LIMITS.depth)


def encode_body(value: object, limits: Limits = LIMITS) -> bytes:
    """A Struct or plain objects as msgpack.

    Raises ProtocolError for what `decode` would refuse: "too_large" above the
    limit of bytes or elements, "invalid_message" for NaN, Infinity, keys that
    are no strings, nesting beyond the limit.
    """
    try:
        data = _ENCODER.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ProtocolError("invalid_message", f"cannot be encoded: {error}") from error
    _check_size(data, limits)
    if len(data) > limits.elements or not is_closed(type(value)) or may_hold_non_finite(data):
        scan(data, limits)
    return data


def decode(data: bytes, limits: Limits = LIMITS) -> object:
    """One msgpack value as None, bool, int, float, str, bytes, list and dict.

    Raises ProtocolError: "too_large" above the limit of bytes or elements, else
    "invalid_message"; it says what is wrong and at which byte.
    """
    _check_size(data, limits)
    if needs_scan(data, limits):
        scan(data, limits)
    try:
        value: object = msgpack.unpackb(
            data,
            raw=False,
            unicode_errors="strict",
            strict_map_key=True,
            object_pairs_hook=_unique_keys,
            ext_hook=_no_extension,
        )
    except ValueError as error:
        scan(data, limits, check_text=True)
        raise ProtocolError("invalid_message", f"the frame is no msgpack: {error}") from error
    return value


def decode_events(data: bytes) -> list[tuple[int, int, object]]:
    """The body of an `evts` message: request id, number and plain event of each entry.

    Raises ProtocolError as `decode` does, msgspec.ValidationError for another shape.
    """
    if len(data) <= SCAN_ABOVE_BYTES:
        # One event seldom has so many parts that only a scan could tell how deep it is; together they have.
        with contextlib.suppress(msgspec.MsgspecError, ProtocolError):
            return [
                (request_id, number, decode(bytes(event), _EVENT_LIMITS))
                for request_id, number, event in _ENTRIES_DECODER.decode(data)
            ]
    # Whatever is wrong, this says where in the whole of it.
    return msgspec.convert(decode(data), list[tuple[int, int, object]])


def encode_header(header: Header) -> bytes:
    """A header as msgpack; fields that are None are left out."""
    return _ENCODER.encode(header)


def decode_header(data: bytes) -> Header:
    """The header frame. Raises ProtocolError, with `data["id"]` when the id of a request could be read."""
    plain = decode(data, _HEADER_LIMITS)
    try:
        return msgspec.convert(plain, Header)
    except msgspec.ValidationError as error:
        problem = ProtocolError("invalid_message", f"header: {error}")
        if isinstance(plain, dict) and plain.get("k") == Kind.REQUEST:
            request_id = plain.get("id")
            if type(request_id) is int and 0 <= request_id <= MAX_ID:
                problem.data["id"] = request_id
        raise problem from error


def _check_size(data: bytes, limits: Limits) -> None:
    if len(data) > limits.message_bytes:
        raise ProtocolError(
            "too_large",
            f"a body of {len(data)} bytes; at most {limits.message_bytes} are accepted",
            {"size": len(data), "limit": limits.message_bytes},
        )


def _no_extension(code: int, data: bytes) -> object:
    raise ValueError(f"extension type {code}")


def _unique_keys(pairs: list[tuple[object, object]]) -> dict[object, object]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ProtocolError("invalid_message", f"the key {str(twice)[:100]!r} occurs twice in one map")
    for key in unique:
        if type(key) is not str:
            raise ProtocolError(
                "invalid_message", f"the key {str(key)[:100]} is no string; keys must be strings"
            )
    return unique


_CLOSED: Final[dict[type, bool]] = {}


def is_closed(kind: type) -> bool:
    """Whether values of this type hold nothing but what its fields declare; not where one takes any JSON."""
    closed = _CLOSED.get(kind)
    if closed is None:
        closed = issubclass(kind, msgspec.Struct) and _holds_only_declared(
            msgspec.inspect.type_info(kind), set()
        )
        _CLOSED[kind] = closed
    return closed


def _holds_only_declared(info: msgspec.inspect.Type, seen: set[type]) -> bool:
    match info:
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            if cls in seen:
                return True
            seen.add(cls)
            return all(_holds_only_declared(field.type, seen) for field in fields)
        case msgspec.inspect.ListType(item_type=item):
            return _holds_only_declared(item, seen)
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            return isinstance(key, msgspec.inspect.StrType) and _holds_only_declared(value, seen)
        case msgspec.inspect.UnionType(types=types):
            return all(_holds_only_declared(option, seen) for option in types)
        case msgspec.inspect.Metadata(type=inner):
            return _holds_only_declared(inner, seen)
        case (
            msgspec.inspect.NoneType()
            | msgspec.inspect.BoolType()
            | msgspec.inspect.IntType()
            | msgspec.inspect.FloatType()
            | msgspec.inspect.StrType()
            | msgspec.inspect.BytesType()
            | msgspec.inspect.LiteralType()
        ):
            return True
        case _:
            return False
