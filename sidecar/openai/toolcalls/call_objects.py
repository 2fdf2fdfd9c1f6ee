"""JSON values as calls: the shapes in which models name a function and its arguments."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

CALL_KEYS: Final = frozenset({"name", "arguments", "parameters", "function", "type", "id"})
"""Every key that an object meaning a call may have."""

_FUNCTION_KEYS: Final = frozenset({"name", "arguments", "parameters"})
_NAME: Final = re.compile(r"[\w.:/-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call as it was written; `arguments` is JSON text, an object's unless the model erred."""

    name: str
    arguments: str


def read_calls(text: str, *, names: Collection[str] | None) -> list[WrittenCall] | None:
    """The calls that a JSON text means: one object, or a list of them. None when it means something else.

    With `names` only these functions are called, and each call must have
    arguments: without markup around it, a value that merely looks alike is data.
    """
    try:
        value = json.loads(text, strict=False, parse_constant=_refuse_constant)
        values = value if isinstance(value, list) else [value]
        calls = [_read_call(item, names) for item in values]
    except ValueError:
        return None
    whole = [call for call in calls if call is not None]
    return whole if whole and len(whole) == len(calls) else None


def _read_call(value: object, names: Collection[str] | None) -> WrittenCall | None:
    if not isinstance(value, dict) or not value.keys() <= CALL_KEYS:
        return None
    if value.get("type", "function") != "function":
        return None
    function = value.get("function")
    if isinstance(function, dict):
        nested = not value.keys() & _FUNCTION_KEYS and "function" not in function
        return _read_call(function, names) if nested else None
    called = [value[key] for key in ("name", "function") if key in value]
    given = [value[key] for key in ("arguments", "parameters") if key in value]
    if len(called) != 1 or len(given) > 1:
        return None
    name = called[0]
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        return None
    if names is not None and (name not in names or not given):
        return None
    return WrittenCall(name, _as_text(given[0] if given else None))


def _as_text(arguments: object) -> str:
    """JSON text of arguments, which may be written as such in a string. Raises ValueError otherwise."""
    if arguments is None:
        return "{}"
    if isinstance(arguments, str):
        arguments.encode()
        return arguments if arguments.strip() else "{}"
    text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    # A lone surrogate can be written in JSON alone as an escape, and no text with one can be sent.
    return text if _is_unicode(text) else json.dumps(arguments)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
