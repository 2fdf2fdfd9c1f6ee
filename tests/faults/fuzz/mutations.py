"""Ways to spoil a message: its fields, its msgpack, its bytes.

Every mutation is drawn from the Random it is given, so that a run can be had again from its seed.
"""

import random
import struct
from collections.abc import Callable, MutableMapping, MutableSequence
from typing import Any, Final

import msgpack

Place = tuple[MutableMapping[str, object] | MutableSequence[object], Any]
"""A container and the key or index of something in it."""

STRANGERS: Final[tuple[object, ...]] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**53,
    2**63,
    2**64 - 1,
    -(2**63),
    1.5,
    -0.0,
    1e308,
    5e-324,
    "",
    "text",
    "\x00",
    "ÿ" * 40,
    "9" * 100,
    b"",
    b"\xff" * 40,
    [],
    [[]],
    [None, 1, "x"],
    {},
    {"": ""},
    {"type": "text"},
    {"role": "user", "content": "x"},
)
"""Values of every kind, at the ends of their ranges; most fit nowhere."""
_PACKED_STRANGERS: Final = tuple(msgpack.packb(value) for value in STRANGERS)
NAMES: Final = (
    "",
    "type",
    "role",
    "stream",
    "model",
    "no_such_field",
    "n",
    "__proto__",
    "ж",
    "x" * 300,
    "9" * 5000,
)
BYTES: Final = (
    b"\xc1",
    b"\xc7\x00\x01",
    b"\xd6\xff\x00\x00\x00\x00",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\xcb\xff\xf0\x00\x00\x00\x00\x00\x00",
    b"\xca\x7f\x80\x00\x00",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\x7f\xff\xff\xff",
    b"\xa1\xff",
    b"\xc0",
    b"\x80",
    b"\x90",
    b"\xff",
)
"""What matters in msgpack: a byte never used, extensions, NaN, Infinity, counts without what they count."""
DEEPEST: Final = 80
MANY: Final = 400
VERY_MANY: Final = 300_000
RARE: Final = 0.001


def spoil_value(value: object, choose: random.Random) -> object:
    """Change one to three things in a plain value, in place; returns it, or what stands in its stead."""
    for _ in range(choose.choice((1, 1, 1, 2, 3))):
        places = _places(value)
        if not places or choose.random() < 0.02:
            return stranger(choose)
        choose.choice(_VALUE_MUTATIONS)(*choose.choice(places), choose)
    return value


def spoil_packed(value: object, choose: random.Random) -> bytes:
    """A plain value as msgpack that breaks, or strains, the rules of msgpack or of the protocol."""
    return choose.choice(_PACKED_MUTATIONS)(msgpack.packb(value), choose)


def spoil_bytes(data: bytes, choose: random.Random) -> bytes:
    """Change one to four things in bytes, without regard to what they mean."""
    changed = bytearray(data)
    for _ in range(choose.choice((1, 1, 2, 4))):
        at = choose.randrange(len(changed) + 1)
        match choose.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << choose.randrange(8)
            case 1 if at < len(changed):
                changed[at] = choose.randrange(256)
            case 2:
                del changed[at : at + choose.randrange(1, 9)]
            case 3:
                changed[at:at] = choose.choice(BYTES)
            case 4:
                changed[at:at] = changed[: choose.randrange(1, 17)]
            case _:
                del changed[at:]
    return bytes(changed)


def stranger(choose: random.Random) -> object:
    """A value that may be changed like any other."""
    value: object = msgpack.unpackb(choose.choice(_PACKED_STRANGERS))
    return value


def nested(levels: int, choose: random.Random) -> object:
    """Arrays and maps within each other."""
    value: object = 1
    for _ in range(levels):
        value = [value] if choose.random() < 0.5 else {"a": value}
    return value


def _places(value: object) -> list[Place]:
    places: list[Place] = []
    waiting = [value]
    while waiting:
        container = waiting.pop()
        if isinstance(container, dict):
            places += [(container, key) for key in container]
            waiting += [item for item in container.values() if isinstance(item, (dict, list))]
        elif isinstance(container, list):
            places += [(container, index) for index in range(len(container))]
            waiting += [item for item in container if isinstance(item, (dict, list))]
    return places


# --- of plain values, in place


def _other_kind(container: Any, key: Any, choose: random.Random) -> None:
    container[key] = stranger(choose)


def _away(container: Any, key: Any, choose: random.Random) -> None:
    del container[key]


def _unknown_name(container: Any, key: Any, choose: random.Random) -> None:
    if isinstance(container, dict):
        container[choose.choice(NAMES)] = stranger(choose)
    else:
        container.append(stranger(choose))


def _misspelt_name(container: Any, key: Any, choose: random.Random) -> None:
    if isinstance(container, dict):
        at = choose.randrange(len(key) + 1)
        container[key[:at] + key[at + 1 :] if choose.random() < 0.5 else key[:at] + "s" + key[at:]] = (
            container.pop(key)
        )
    else:
        container.insert(key, container[key])


def _other_text(container: Any, key: Any, choose: random.Random) -> None:
    text = container[key]
    if isinstance(text, str):
        container[key] = choose.choice((text + "x", text[1:], text.upper(), text * 8, "\u2028" + text, "🌊"))
    else:
        container[key] = str(text)[:1000]


def _other_number(container: Any, key: Any, choose: random.Random) -> None:
    number = container[key]
    if isinstance(number, float):
        container[key] = choose.choice((-number, number + 0.5, number * 1e300, 2**53))
    elif isinstance(number, int):
        container[key] = choose.choice((-1 - number % 1000, number + 0.5, float(number), 2**53, 2**64 - 1))
    else:
        container[key] = choose.choice((-1, 2**53, 0.5))


def _deeper(container: Any, key: Any, choose: random.Random) -> None:
    container[key] = nested(choose.randrange(1, DEEPEST), choose)


def _more(container: Any, key: Any, choose: random.Random) -> None:
    count = VERY_MANY if choose.random() < RARE else choose.randrange(MANY)
    item = container[key]
    container[key] = [0 if isinstance(item, (dict, list)) or len(str(item)) > MANY else item] * count


def _swapped(container: Any, key: Any, choose: random.Random) -> None:
    other = choose.choice(list(container) if isinstance(container, dict) else range(len(container)))
    container[key], container[other] = container[other], container[key]


_VALUE_MUTATIONS: Final[tuple[Callable[[Any, Any, random.Random], None], ...]] = (
    _other_kind,
    _other_kind,
    _away,
    _unknown_name,
    _misspelt_name,
    _other_text,
    _other_number,
    _deeper,
    _more,
    _swapped,
)


# --- of msgpack


def _twice(packed: bytes, choose: random.Random) -> bytes:
    """A key that is there already, or an entry more than the map says."""
    if not 0x80 < packed[0] < 0x8F:
        return packed + packed
    first = msgpack.Unpacker()
    first.feed(packed)
    first.read_map_header()
    key = msgpack.packb(first.unpack())
    count = packed[0] + 1 if choose.random() < 0.8 else packed[0]
    return bytes([count]) + key + b"\xc0" + packed[1:]


def _wrong_count(packed: bytes, choose: random.Random) -> bytes:
    return bytes([packed[0] ^ (1 << choose.randrange(4))]) + packed[1:]


def _longer_form(packed: bytes, choose: random.Random) -> bytes:
    """A map with a 16 or 32 bit count; allowed, only unusual."""
    if packed[0] & 0xF0 != 0x80:
        return packed
    count = packed[0] & 0x0F
    return (
        struct.pack(">BH", 0xDE, count) if choose.random() < 0.5 else struct.pack(">BI", 0xDF, count)
    ) + packed[1:]


def _foreign_value(packed: bytes, choose: random.Random) -> bytes:
    """An entry more, whose key or value msgpack or the protocol does not know."""
    if not 0x80 <= packed[0] < 0x8F:
        return choose.choice(BYTES) + packed
    entry = b"\xa1z" + choose.choice(BYTES) if choose.random() < 0.8 else choose.choice(BYTES) + b"\xc0"
    return bytes([packed[0] + 1]) + packed[1:] + entry


def _trailing(packed: bytes, choose: random.Random) -> bytes:
    return packed + choose.choice(BYTES)


def _cut(packed: bytes, choose: random.Random) -> bytes:
    return packed[: choose.randrange(len(packed) + 1)]


def _wrapped(packed: bytes, choose: random.Random) -> bytes:
    levels = choose.randrange(1, DEEPEST)
    return b"\x91" * levels + packed


_PACKED_MUTATIONS: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    _twice,
    _wrong_count,
    _longer_form,
    _foreign_value,
    _foreign_value,
    _trailing,
    _cut,
    _wrapped,
)
