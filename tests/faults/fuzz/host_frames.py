"""Messages of a hostile host: good requests of every method, spoilt in every layer."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgpack

from sidecar.errors import InvalidParams
from sidecar.service.dispatcher import validate_params
from sidecar_protocol.envelope import Kind
from sidecar_protocol.limits import LIMITS
from sidecar_protocol.methods import METHODS
from tests.faults.fuzz.mutations import spoil_bytes, spoil_packed, spoil_value, stranger
from tests.faults.fuzz.values import value_of

SEEDS_PER_METHOD: Final = 40
TIME_TO_LIVE_MS: Final = 5
"""Of what generates: a spoilt request may have become one for thousands of tokens."""
_WEIGHTS: Final = {
    "chat.create": 30.0,
    "generate.create": 18.0,
    "tokens.count": 8.0,
    "tokens.encode": 5.0,
    "tokens.decode": 5.0,
    "models.load": 4.0,
    "models.status": 3.0,
    "models.list": 0.5,
    "engine.logs": 0.2,
    "engine.watch": 0.1,
}
_OF_OTHERS: Final = 1.0
_OF_WHAT_IS_NOT_SERVED: Final = 0.2
_ADD: Final = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}
_BY_HAND: Final[dict[str, list[dict[str, object]]]] = {
    "chat.create": [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "count 5"}]},
            ],
            "max_tokens": 6,
            "temperature": 0.0,
            "stop": ["9"],
            "logprobs": True,
            "top_logprobs": 2,
        },
        {
            "messages": [{"role": "user", "content": 'call add {"a": 1}\nthen done'}],
            "tools": [_ADD],
            "tool_execution": "host",
            "max_tool_rounds": 2,
            "max_tokens": 70,
        },
        {
            "messages": [
                {"role": "user", "content": "hello"},
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "2"},
            ],
            "tools": [_ADD],
            "tool_choice": {"type": "function", "function": {"name": "add"}},
            "max_tokens": 2,
        },
    ],
    "generate.create": [{"prompt": [97, 98, 99], "max_tokens": 3, "logit_bias": {"100": -1.0}, "seed": 1}],
    "tokens.count": [{"messages": [{"role": "user", "content": "hello"}], "tools": [_ADD]}],
}
_KINDS: Final = (*map(str, Kind), "of_tomorrow", "REQ", "")
_METHODS: Final = ("chat.craete", "chat", "", ".", "engine.infoo", "x" * 300, "ж.ж", "host.call_tool")


@dataclass
class HostFrames:
    """Draws one message after the other; `last_id` and `asked` are kept by who sends them.

    `asked` are ids of the engine's own requests that have no answer yet.
    """

    choose: random.Random
    served: Collection[str]
    last_id: int = 0
    asked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._seeds = {name: self._seeds_of(name) for name in METHODS}
        self._names = sorted(METHODS)
        self._weights = [
            _WEIGHTS.get(name, _OF_OTHERS) if name in self.served else _OF_WHAT_IS_NOT_SERVED
            for name in self._names
        ]
        self._ways: Sequence[Callable[[], list[bytes]]] = (
            self._spoilt_params,
            self._spoilt_msgpack,
            self._spoilt_body,
            self._good,
            self._spoilt_header,
            self._other_kind,
            self._other_method,
            self._other_frames,
            self._answer,
        )
        self._shares = (62, 8, 8, 3, 10, 4, 2, 1, 2)

    def next(self) -> list[bytes]:
        """The frames of a message."""
        return self.choose.choices(self._ways, self._shares)[0]()

    def too_large(self) -> list[bytes]:
        """A request whose body is above the limit of a message."""
        return [self._good()[0], bytes(LIMITS.message_bytes + 1)]

    def _seeds_of(self, name: str) -> list[bytes]:
        """Params of a method, all of them valid."""
        method = METHODS[name]
        values = [value_of(method.params, self.choose) for _ in range(SEEDS_PER_METHOD)]
        valid = [value for value in [*_BY_HAND.get(name, []), *values] if _is_valid(name, value)]
        if not valid:
            raise ValueError(f"no valid params of {name} were found; the last tried: {values[-1]}")
        if method.streams:
            valid += [{**value, "stream": True} for value in valid]
        return [msgpack.packb(value) for value in valid]

    def _request(self) -> tuple[dict[str, object], bytes]:
        name = self.choose.choices(self._names, self._weights)[0]
        header: dict[str, object] = {"k": "req", "id": self.last_id + 1, "m": name}
        if METHODS[name].streams:
            header["ttl"] = TIME_TO_LIVE_MS
            header["credit"] = self.choose.choice((0, 1, 8, 32))
        return header, self.choose.choice(self._seeds[name])

    def _good(self) -> list[bytes]:
        header, body = self._request()
        return [msgpack.packb(header), body]

    def _spoilt_params(self) -> list[bytes]:
        header, body = self._request()
        return [msgpack.packb(header), msgpack.packb(spoil_value(msgpack.unpackb(body), self.choose))]

    def _spoilt_msgpack(self) -> list[bytes]:
        header, body = self._request()
        return [msgpack.packb(header), spoil_packed(msgpack.unpackb(body), self.choose)]

    def _spoilt_body(self) -> list[bytes]:
        header, body = self._request()
        return [msgpack.packb(header), spoil_bytes(body, self.choose)]

    def _spoilt_header(self) -> list[bytes]:
        header, body = self._request()
        header |= {"s": 0, "p": 1, "idem": "key"} if self.choose.random() < 0.1 else {}
        match self.choose.randrange(3):
            case 0:
                return [msgpack.packb(spoil_value(header, self.choose)), body]
            case 1:
                return [spoil_packed(header, self.choose), body]
            case _:
                return [spoil_bytes(msgpack.packb(header), self.choose), body]

    def _other_kind(self) -> list[bytes]:
        """Any kind about any request: running, ended or never used."""
        about = self.choose.choice(
            (self.last_id, self.last_id - self.choose.randrange(400), self._strange_id())
        )
        header = {
            "k": self.choose.choice(_KINDS),
            "id": about,
            "credit": self.choose.choice((0, 1, 300, 2**53 - 1)),
        }
        if self.choose.random() < 0.2:
            del header["id"]
        return [msgpack.packb(header), self._any_body()]

    def _other_method(self) -> list[bytes]:
        header, body = self._request()
        return [msgpack.packb({**header, "m": self.choose.choice(_METHODS)}), body]

    def _other_frames(self) -> list[bytes]:
        header, body = self._good()
        return self.choose.choice(
            (
                [header],
                [b""],
                [b"", header, body],
                [header, body, body],
                [body, header],
                [header, b""],
                [header] * 9,
            )
        )

    def _answer(self) -> list[bytes]:
        """What the engine asked of us, answered well or badly."""
        if not self.asked:
            return self._other_kind()
        kind = self.choose.choice((Kind.RESULT, Kind.RESULT, Kind.ERROR))
        header = msgpack.packb({"k": kind, "id": self.asked.pop(), "s": 0})
        good = {"output": "3"} if kind == Kind.RESULT else {"code": "internal", "message": "broken"}
        match self.choose.randrange(4):
            case 0:
                return [header, msgpack.packb(spoil_value(good, self.choose))]
            case 1:
                return [header, spoil_packed(good, self.choose)]
            case _:
                return [header, msgpack.packb(good)]

    def _any_body(self) -> bytes:
        return msgpack.packb(stranger(self.choose)) if self.choose.random() < 0.8 else b"\xc1"

    def _strange_id(self) -> object:
        return self.choose.choice((0, -1, 2**53 - 1, 2**53, 2**64 - 1, 1.0, "1", None, 2**40))


def _is_valid(name: str, value: object) -> bool:
    try:
        validate_params(METHODS[name], value)
    except InvalidParams:
        return False
    return True
