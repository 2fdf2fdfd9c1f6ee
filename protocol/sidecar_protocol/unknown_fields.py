"""Finds fields of plain params that their type does not have: msgspec does not say whose they are.

Types declared as Params refuse unknown fields by themselves; Shared types, which
results hold too, do not, so params with Shared types in them are walked.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import msgspec
from msgspec import inspect

from sidecar_protocol.base import Params

Relevant = Callable[[type[msgspec.Struct]], bool]


@dataclass(frozen=True, slots=True)
class UnknownField:
    """`path` is where, such as `params.input[2]`; `known` are the fields that there are."""

    path: str
    name: str
    known: tuple[str, ...]


def unknown_field(plain: object, kind: type[msgspec.Struct]) -> UnknownField | None:
    """The first field of plain params, or of anything in them, that its type does not have."""
    return _in_value(plain, _type_info(kind), "params", has_fields=lambda struct: True)


def dropped_field(plain: object, kind: type[msgspec.Struct]) -> UnknownField | None:
    """The same for params that msgspec has accepted: only Shared types can have hidden something."""
    return _in_value(plain, _type_info(kind), "params", has_fields=has_shared_types)


@cache
def has_shared_types(kind: type[msgspec.Struct]) -> bool:
    """Whether unknown fields somewhere in values of this type would be dropped in silence."""
    seen: set[type] = set()
    waiting: list[inspect.Type] = [_type_info(kind)]
    while waiting:
        match waiting.pop():
            case inspect.StructType(cls=cls, fields=fields) if cls not in seen:
                seen.add(cls)
                if not issubclass(cls, Params):
                    return True
                waiting += [field.type for field in fields]
            case inspect.ListType(item_type=inner) | inspect.DictType(value_type=inner):
                waiting.append(inner)
            case inspect.Metadata(type=inner):
                waiting.append(inner)
            case inspect.UnionType(types=types):
                waiting += types
    return False


@cache
def _type_info(kind: type[msgspec.Struct]) -> inspect.Type:
    return inspect.type_info(kind)


def _in_value(value: object, info: inspect.Type, path: str, has_fields: Relevant) -> UnknownField | None:
    """Whether structs are looked into at all is for `has_fields` to say."""
    found: UnknownField | None = None
    match info:
        case inspect.Metadata(type=inner):
            found = _in_value(value, inner, path, has_fields)
        case inspect.StructType(cls=cls) if isinstance(value, dict) and has_fields(cls):
            found = _in_struct(value, info, path, has_fields)
        case inspect.ListType(item_type=inner) if isinstance(value, list):
            found = _first(
                _in_value(item, inner, f"{path}[{index}]", has_fields) for index, item in enumerate(value)
            )
        case inspect.DictType(value_type=inner) if isinstance(value, dict):
            found = _first(_in_value(item, inner, f"{path}.{key}", has_fields) for key, item in value.items())
        case inspect.UnionType(types=types):
            found = _first(
                _in_value(value, option, path, has_fields) for option in types if _may_be(value, option)
            )
    return found


def _in_struct(
    value: dict[str, object], info: inspect.StructType, path: str, has_fields: Relevant
) -> UnknownField | None:
    types = {field.encode_name: field.type for field in info.fields}
    known = (*types, *([info.tag_field] if info.tag_field is not None else []))
    for name in value:
        if name not in known:
            return UnknownField(path, name, known)
    return _first(
        _in_value(item, types[name], f"{path}.{name}", has_fields)
        for name, item in value.items()
        if name in types
    )


def _may_be(value: object, option: inspect.Type) -> bool:
    """Whether it is the arm of a union that this value takes; structs are told apart by their tag."""
    if isinstance(option, inspect.StructType) and option.tag_field is not None:
        return isinstance(value, dict) and value.get(option.tag_field) == option.tag
    return True


def _first(found: Iterable[UnknownField | None]) -> UnknownField | None:
    return next((field for field in found if field is not None), None)
