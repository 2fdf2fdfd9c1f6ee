"""Plain objects as the protocol's types, also where a newer engine knows more variants than this client.

A part whose tag is unknown here stays what it was, a plain object, in its place
among those that are known: `match` meets it in its last case.
"""

import re
from typing import Any, TypeVar

import msgspec

KindType = TypeVar("KindType")
Step = str | int

_UNKNOWN_TAG = re.compile(r"Invalid value '.*' - at `\$(?P<path>.*)`", re.DOTALL)
_STEPS = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]")


class UnknownVariant(msgspec.ValidationError):
    """A part has an unknown tag, and its place cannot be left empty while the rest is read."""


def read(plain: object, kind: type[KindType]) -> KindType:
    """Plain objects as `kind`. Raises msgspec.ValidationError, UnknownVariant among them."""
    kept: list[tuple[list[Step], object]] = []
    while True:
        try:
            value = msgspec.convert(plain, kind)
            break
        except msgspec.ValidationError as error:
            path = _unknown_part(error)
            if not path and kept:
                raise UnknownVariant(f"{error}; what was there has an unknown tag") from error
            if not path:
                raise
            plain, part = _taken_out(plain, path)
            kept.append((path, part))
    for path, part in reversed(kept):
        _put_back(value, path, part)
    return value


def _unknown_part(error: msgspec.ValidationError) -> list[Step]:
    """The way to the object whose tag is unknown; empty when that is not what is wrong."""
    found = _UNKNOWN_TAG.fullmatch(str(error))
    if found is None:
        return []
    steps = list(_STEPS.finditer(found["path"]))
    if "".join(step.group() for step in steps) != found["path"]:
        return []
    return [step[1] if step[1] is not None else int(step[2]) for step in steps][:-1]


def _taken_out(plain: Any, path: list[Step]) -> tuple[Any, object]:
    """A copy without the part at the end of the path, and that part."""
    step, rest = path[0], path[1:]
    copy = plain.copy()
    if not rest:
        return copy, copy.pop(step)
    copy[step], part = _taken_out(copy[step], rest)
    return copy, part


def _put_back(value: Any, path: list[Step], part: object) -> None:
    for step in path[:-1]:
        value = value[step] if isinstance(step, int) else _attribute(value, step)
    last = path[-1]
    if isinstance(last, int):
        value.insert(last, part)
    else:
        setattr(value, _name(value, last), part)


def _attribute(value: Any, field: str) -> Any:
    return getattr(value, _name(value, field))


def _name(value: msgspec.Struct, field: str) -> str:
    """What the attribute of a field is called, whose name on the wire may differ."""
    names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
    return next(name for encoded, name in names if encoded == field)
