"""Messages of a hostile engine: good answers of every method, spoilt in every layer."""

import random
from dataclasses import dataclass
from typing import Final

import msgpack

from sidecar_protocol.envelope import Kind
from sidecar_protocol.errors import ErrorBody
from sidecar_protocol.methods import HOST_REQUESTS, METHODS, NOTIFICATIONS
from tests.faults.fuzz.mutations import spoil_bytes, spoil_packed, spoil_value, stranger
from tests.faults.fuzz.values import value_of

SEEDS: Final = 24
"""Values kept of each type."""
_OTHERS: Final = (
    Kind.PING,
    Kind.PONG,
    Kind.CANCEL,
    Kind.CREDIT,
    Kind.HELLO,
    Kind.WELCOME,
    Kind.BYE,
    "of_tomorrow",
)


@dataclass(frozen=True)
class Waiting:
    """A request of the client's that has no answer yet, and how many events of it have come."""

    id: int
    method: str
    events: int


class EngineFrames:
    """Draws one message after the other, most of them about the request that waits."""

    def __init__(self, choose: random.Random) -> None:
        self._choose = choose
        self._results = {name: self._packed(method.result) for name, method in METHODS.items()}
        self._events = {
            name: [packed for kind in method.events for packed in self._packed(kind)]
            for name, method in METHODS.items()
        }
        self._errors = self._packed(ErrorBody)
        self._told = [(name, self._packed(told.params)) for name, told in NOTIFICATIONS.items()]
        self._asked = [(name, self._packed(asked.params)) for name, asked in HOST_REQUESTS.items()]
        self._asked_id = 0

    def method(self) -> str:
        """What the client shall ask next."""
        return self._choose.choice(sorted(METHODS))

    def next(self, waiting: Waiting) -> list[bytes]:
        """The frames of a message."""
        header, body = self._good(waiting)
        match self._choose.randrange(20):
            case 0:
                return [msgpack.packb(spoil_value(header, self._choose)), msgpack.packb(body)]
            case 1:
                return [spoil_packed(header, self._choose), msgpack.packb(body)]
            case 2:
                return [spoil_bytes(msgpack.packb(header), self._choose), msgpack.packb(body)]
            case 3:
                return [msgpack.packb(header), spoil_bytes(msgpack.packb(body), self._choose)]
            case 4:
                return [msgpack.packb(header), spoil_packed(body, self._choose)]
            case 5:
                frames = [msgpack.packb(header), msgpack.packb(body)]
                return self._choose.choice((frames[:1], frames[::-1], [*frames, b""], [b""], frames * 3))
            case 6:
                return [msgpack.packb(header), msgpack.packb(body)]
            case _:
                return [msgpack.packb(header), msgpack.packb(self._spoilt(header, body))]

    def _packed(self, kind: type) -> list[bytes]:
        return [msgpack.packb(value_of(kind, self._choose)) for _ in range(SEEDS)]

    def _good(self, waiting: Waiting) -> tuple[dict[str, object], object]:
        drawn = self._choose.random()
        events = self._events[waiting.method]
        if drawn < 0.5 and events:
            count = self._choose.choice((1, 1, 1, 2, 5))
            body = [
                [waiting.id, waiting.events + index, msgpack.unpackb(self._choose.choice(events))]
                for index in range(count)
            ]
            return {"k": "evts"}, body
        if drawn < 0.75:
            header = {"k": "res", "id": waiting.id, "s": waiting.events}
            return header, msgpack.unpackb(self._choose.choice(self._results[waiting.method]))
        if drawn < 0.83:
            header = {"k": "err", "id": waiting.id, "s": waiting.events}
            return header, msgpack.unpackb(self._choose.choice(self._errors))
        if drawn < 0.93:
            name, bodies = self._choose.choice(self._asked)
            self._asked_id += self._choose.choice((0, 1, 1, 1))
            header = {"k": "req", "id": self._asked_id, "m": name, "p": waiting.id}
            return header, msgpack.unpackb(self._choose.choice(bodies))
        if drawn < 0.97:
            name, bodies = self._choose.choice(self._told)
            return {"k": "ntf", "m": name}, msgpack.unpackb(self._choose.choice(bodies))
        kind = self._choose.choice(_OTHERS)
        header = {"k": kind, "id": self._asked_id, "n": 1}
        body = {"code": "closed", "message": "done"} if kind == Kind.BYE else stranger(self._choose)
        return header, body

    def _spoilt(self, header: dict[str, object], body: object) -> object:
        """Mostly the event itself: a spoilt id or sequence is found before anyone looks at the event."""
        if header["k"] == "evts" and self._choose.random() < 0.8:
            assert isinstance(body, list)
            entry = self._choose.choice(body)
            entry[2] = spoil_value(entry[2], self._choose)
            return body
        return spoil_value(body, self._choose)
