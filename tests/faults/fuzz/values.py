"""Plain values of the protocol's types, as a peer that means well would send them."""

import random
from collections.abc import Callable
from functools import cache
from typing import Final

import msgspec
from msgspec import inspect

TEXTS: Final = (
    "",
    "hello",
    "count 3",
    "silence",
    "Grüße vom Meer 🌊",
    'call add {"a": 1, "b": 2}',
    "la la la la",
)
FLOATS: Final = (0.0, 0.5, 1.0, 0.25)
MAX_DEPTH: Final = 8
FEW: Final = 3
OPTIONAL_SHARE: Final = 0.2
BY_NAME: Final[dict[str, tuple[object, ...]]] = {
    "model": ("default", "default", "default", "other"),
    "max_tokens": (1, 2, 3, 5),
    "n": (1, 1, 2),
    "prompt": ("abc", "xyz", [97, 98], "Grüße"),
    "stop": ("x", ["b", "c"]),
    "token_ids": ([], [104, 105]),
    "stop_token_ids": ([], [120]),
    "seed": (0, 7, 2**53 - 1),
    "min_tokens": (0, 1),
    "top_logprobs": (0, 2),
    "logit_bias": ({}, {"97": 1.5}),
    "grace_ms": (0,),
    "data": ({}, {"partial": {"text": "so far"}}),
}
"""What fields of these names hold: values that make sense to an engine, and little work."""

Make = Callable[[random.Random, int], object]


def value_of(kind: type[msgspec.Struct], choose: random.Random) -> dict[str, object]:
    """A value of a Struct type as a plain map: required fields, and some of the others."""
    value = _maker(inspect.type_info(kind))(choose, 0)
    assert isinstance(value, dict)
    return value


def _maker(info: inspect.Type) -> Make:
    match info:
        case inspect.Metadata(type=inner, extra=extra):
            values = (extra or {}).get("values")
            return _one_of(tuple(values)) if values else _maker(inner)
        case inspect.StructType(cls=cls):
            return _struct_maker(cls)
        case inspect.ListType(item_type=item):
            return _list_maker(_maker(item))
        case inspect.DictType(value_type=inner):
            make = _maker(inner)
            return lambda choose, depth: {
                f"key{index}": make(choose, depth + 1) for index in range(choose.randrange(FEW))
            }
        case inspect.UnionType(types=types):
            return _union_maker([_maker(option) for option in types])
        case inspect.LiteralType(values=values):
            return _one_of(tuple(values))
        case inspect.NoneType():
            return _one_of((None,))
        case inspect.BoolType():
            return _one_of((False, True))
        case inspect.IntType(ge=least):
            return _one_of(tuple((least or 0) + more for more in range(4)))
        case inspect.FloatType():
            return _one_of(FLOATS)
        case inspect.StrType(pattern=None):
            return _one_of(TEXTS)
        case inspect.StrType():
            return _one_of(("add", "get_weather"))
        case inspect.BytesType():
            return _one_of((b"", b"\x00\x01\x80\x3f"))
        case inspect.AnyType() | inspect.CustomType():
            return _one_of((None, 1, "any", {"a": [1, 2.5, "x"]}, [True]))
        case _:
            raise TypeError(f"no values are known for {info}")


@cache
def _struct_maker(cls: type[msgspec.Struct]) -> Make:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    fields: list[tuple[str, bool, Make]] = []

    def make(choose: random.Random, depth: int) -> object:
        if not fields:
            fields.extend(
                (
                    field.encode_name,
                    field.required,
                    _one_of(BY_NAME[field.encode_name])
                    if field.encode_name in BY_NAME
                    else _maker(field.type),
                )
                for field in info.fields
            )
        value: dict[str, object] = {} if info.tag_field is None else {info.tag_field: info.tag}
        for name, required, make_field in fields:
            if required or (depth < MAX_DEPTH and choose.random() < OPTIONAL_SHARE):
                value[name] = make_field(choose, depth + 1)
        return value

    return make


def _union_maker(options: list[Make]) -> Make:
    return lambda choose, depth: choose.choice(options)(choose, depth)


def _list_maker(make: Make) -> Make:
    return lambda choose, depth: [
        make(choose, depth + 1) for _ in range(0 if depth > MAX_DEPTH else 1 + choose.randrange(FEW - 1))
    ]


def _one_of(values: tuple[object, ...]) -> Make:
    return lambda choose, depth: choose.choice(values)
