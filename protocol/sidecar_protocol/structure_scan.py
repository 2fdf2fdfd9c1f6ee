"""Walks the structure of a msgpack frame without building anything, and says where it breaks the contract.

Iterative, so that nesting costs no stack; every declared count is held against
the bytes that are left before anyone could allocate for it.
"""

import struct
from typing import Final

from sidecar_protocol.errors import ProtocolError
from sidecar_protocol.limits import Limits

_FIRST_FIXMAP, _FIRST_FIXARRAY, _FIRST_FIXSTR, _LAST_FIXSTR = 0x80, 0x90, 0xA0, 0xBF
_NEVER_USED = 0xC1
_FLOAT32, _FLOAT64 = 0xCA, 0xCB
_STRINGS: Final = frozenset([*range(_FIRST_FIXSTR, _LAST_FIXSTR + 1), 0xD9, 0xDA, 0xDB])
_EXTENSIONS: Final = frozenset([0xC7, 0xC8, 0xC9, *range(0xD4, 0xD9)])
_LENGTH_BYTES: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_COUNT_BYTES: Final = {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
_ARRAYS: Final = frozenset([0xDC, 0xDD])
_NUMBER_BYTES: Final = {
    0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, _FLOAT32: 4, _FLOAT64: 8,
}  # fmt: skip

_CONTAINERS: Final = frozenset([*range(_FIRST_FIXMAP, _FIRST_FIXSTR), *_COUNT_BYTES])
_ORDINARY: Final = bytes(set(range(256)) - _CONTAINERS)
_TIMESTAMP_HEADS: Final = (b"\xd6\xff", b"\xd7\xff", b"\x04\xff", b"\x08\xff", b"\x0c\xff")
"""How its three lengths go on to its type, the short forms and the ends of the long ones."""
SCAN_ABOVE_BYTES: Final = 64 * 2**10


def needs_scan(data: bytes, limits: Limits) -> bool:
    """Whether `data` could break a rule that only `scan` checks; text and numbers may raise a false alarm."""
    if len(data) > min(SCAN_ABOVE_BYTES, limits.elements):
        return True
    if len(data.translate(None, _ORDINARY)) > limits.depth:
        return True
    return may_hold_non_finite(data) or _may_hold_timestamp(data)


def may_hold_non_finite(data: bytes) -> bool:
    """Whether bytes occur that could begin a NaN or an Infinity; text may raise a false alarm."""
    # Four searches written out: a generator around them costs more than they do.
    return b"\xca\x7f" in data or b"\xca\xff" in data or b"\xcb\x7f" in data or b"\xcb\xff" in data


def _may_hold_timestamp(data: bytes) -> bool:
    # Of extension types msgpack makes a value of this one, -1, without asking; text never holds that byte.
    return b"\xff" in data and any(head in data for head in _TIMESTAMP_HEADS)


def scan(data: bytes, limits: Limits, *, check_text: bool = False) -> None:
    """Check that `data` is exactly one value within the limits, with string keys and finite numbers.

    Raises ProtocolError with the byte offset of what is wrong: "too_large" for too
    many elements, else "invalid_message".
    UTF-8 is checked only with `check_text`; duplicate keys are not seen here.
    """
    size = len(data)
    position = 0
    elements = 0
    remaining, in_map = 1, False
    outer: list[tuple[int, bool]] = []
    while True:
        while remaining == 0:
            if not outer:
                if position != size:
                    raise _broken(position, f"{size - position} bytes follow the end of the message")
                return
            remaining, in_map = outer.pop()
        if position >= size:
            raise _broken(position, f"the frame ends here, {remaining} more values were announced")
        byte = data[position]
        if in_map and not remaining & 1 and byte not in _STRINGS:
            raise _broken(position, "a map key is no string; keys must be strings")
        remaining -= 1
        if byte < _FIRST_FIXMAP or byte >= 0xE0 or byte in (0xC0, 0xC2, 0xC3):
            position += 1
            continue
        if _FIRST_FIXSTR <= byte <= _LAST_FIXSTR:
            length, start = byte - _FIRST_FIXSTR, position + 1
        elif byte in _LENGTH_BYTES:
            start = position + 1 + _LENGTH_BYTES[byte]
            length = int.from_bytes(data[position + 1 : start])
        elif byte in _NUMBER_BYTES:
            length, start = _NUMBER_BYTES[byte], position + 1
        elif byte in _EXTENSIONS:
            raise _broken(
                position, "an extension type; only nil, bool, numbers, str, bin, array and map are used"
            )
        elif byte == _NEVER_USED:
            raise _broken(position, "byte 0xc1 is not msgpack")
        else:
            count, is_map, after = _container(data, position, byte)
            if count > size - after:
                raise _broken(position, f"announces {count} values, {size - after} bytes are left")
            elements += count
            if elements > limits.elements:
                raise ProtocolError(
                    "too_large",
                    f"byte {position}: more than {limits.elements} elements",
                    {"offset": position, "limit": limits.elements},
                )
            if len(outer) == limits.depth:
                raise _broken(position, f"nested deeper than {limits.depth} levels")
            outer.append((remaining, in_map))
            remaining, in_map, position = count, is_map, after
            continue
        end = start + length
        if end > size:
            raise _broken(position, f"a value of {end - position} bytes, {size - position} are left")
        if byte in (_FLOAT32, _FLOAT64):
            _check_finite(data[start:end], position)
        elif check_text and byte in _STRINGS:
            _check_text(data[start:end], start)
        position = end


def _container(data: bytes, position: int, byte: int) -> tuple[int, bool, int]:
    """How many values it announces, whether they are a map's keys and values, where they begin."""
    if byte < _FIRST_FIXARRAY:
        return 2 * (byte - _FIRST_FIXMAP), True, position + 1
    if byte < _FIRST_FIXSTR:
        return byte - _FIRST_FIXARRAY, False, position + 1
    after = position + 1 + _COUNT_BYTES[byte]
    if after > len(data):
        raise _broken(position, "the frame ends inside a count")
    count = int.from_bytes(data[position + 1 : after])
    return (count, False, after) if byte in _ARRAYS else (2 * count, True, after)


def _check_finite(packed: bytes, position: int) -> None:
    (number,) = struct.unpack(">f" if len(packed) == 4 else ">d", packed)
    if number - number != 0:
        raise _broken(position, "a number that is NaN or infinite; numbers must be finite")


def _check_text(text: bytes, start: int) -> None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise _broken(start + error.start, f"a string is no UTF-8 ({error.reason})") from error


def _broken(position: int, problem: str) -> ProtocolError:
    return ProtocolError("invalid_message", f"byte {position}: {problem}", {"offset": position})
