"""frames.json: messages of every kind, and messages of which one frame is broken."""

from collections.abc import Iterator
from typing import Final

from sidecar_generator.vectors.files import Entry, pack, readable
from sidecar_generator.vectors.frames_by_hand import (
    BROKEN_BODIES,
    BROKEN_HEADERS,
    FROM_ENGINE,
    FROM_HOST,
    PING_IN_LONGER_FORMS,
    TOO_LARGE_HEADERS,
    Message,
)

_KNOWN_FIELDS: Final = ("k", "id", "m", "s", "p", "ttl", "idem", "credit", "n")
_HEADER_BEFORE_A_BROKEN_BODY: Final[dict[str, dict[str, object]]] = {
    "host": {"k": "req", "id": 1, "m": "tokens.encode"},
    "engine": {"k": "res", "id": 1, "s": 0},
}


def accepted_frames() -> Iterator[Entry]:
    """Messages, and what is read of them: fields of the header that nobody knows are not."""
    for sender, messages in (("host", FROM_HOST), ("engine", FROM_ENGINE)):
        for message in messages:
            yield _accepted(sender, message, pack(message[1]))
        longer: Message = ("a header in longer forms than needed", {"k": "ping", "n": 1}, {})
        yield _accepted(sender, longer, PING_IN_LONGER_FORMS)


def rejected_frames() -> Iterator[Entry]:
    """Messages with one broken frame; the other one is in order."""
    for sender, before in _HEADER_BEFORE_A_BROKEN_BODY.items():
        for code, headers in (("invalid_message", BROKEN_HEADERS), ("too_large", TOO_LARGE_HEADERS)):
            for name, header in headers:
                yield _rejected(sender, "header", name, code, header, pack({}))
        for name, body in BROKEN_BODIES:
            yield _rejected(sender, "body", name, "invalid_message", pack(before), body)


def _accepted(sender: str, message: Message, packed_header: str) -> Entry:
    name, header, body = message
    read = {key: value for key, value in header.items() if key in _KNOWN_FIELDS}
    return {
        "name": f"{sender}: {name}",
        "from": sender,
        "header": packed_header,
        "body": pack(body),
        "reads": {"header": read, "body": readable(body)},
    }


def _rejected(sender: str, frame: str, name: str, code: str, header: str, body: str) -> Entry:
    return {
        "name": f"{sender}: {frame}: {name}",
        "from": sender,
        "header": header,
        "body": body,
        "code": code,
        "frame": frame,
    }
