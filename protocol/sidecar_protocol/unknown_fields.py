"""Finds fields of plain params that their type does not have: msgspec does not say whose they are.

Types declared as Params refuse unknown fields by themselves; Shared types, which
results hold too, do not, so params with Shared types in them are looked through.
"""

from collections.abc import Callable, Iterable
from functools import cache

import msgspec
from msgspec import inspect

from sidecar_protocol.base import Params


class UnknownField(msgspec.Struct, frozen=True):
    """`path` is where, such as `params.input[2]`; `known` are the fields that there are."""

    path: str
    name: str
    known: tuple[str, ...]


Check = Callable[[object, str], UnknownField | None]
"""Looks through a plain value that is at this path."""


def unknown_field(plain: object, kind: type[msgspec.Struct]) -> UnknownField | None:
    """The first field of plain params, or of anything in them, that its type does not have."""
    check = _checks(kind, only_dropped=False)
    return check(plain, "params") if check is not None else None


def dropped_field(plain: object, kind: type[msgspec.Struct]) -> UnknownField | None:
    """The same for params that msgspec has accepted: only Shared types can have hidden something."""
    check = _checks(kind, only_dropped=True)
    return check(plain, "params") if check is not None else None


@cache
def _checks(kind: type[msgspec.Struct], *, only_dropped: bool) -> Check | None:
    return _Builder(only_dropped).check(inspect.type_info(kind))


class _Builder:
    """Makes the checks of a type once; None where there is nothing to look for."""

    def __init__(self, only_dropped: bool) -> None:
        self._only_dropped = only_dropped

    def check(self, info: inspect.Type) -> Check | None:
        match info:
            case inspect.Metadata(type=inner):
                return self.check(inner)
            case inspect.StructType():
                return self._of_struct(info)
            case inspect.ListType(item_type=inner):
                return _of_list(self.check(inner))
            case inspect.DictType(value_type=inner):
                return _of_dict(self.check(inner))
            case inspect.UnionType(types=types):
                return self._of_union(types)
            case _:
                return None

    def _of_struct(self, info: inspect.StructType) -> Check | None:
        below = {field.encode_name: self.check(field.type) for field in info.fields}
        known = (*below, *([info.tag_field] if info.tag_field is not None else []))
        looked_into = [(name, check) for name, check in below.items() if check is not None]
        refuses_by_itself = self._only_dropped and issubclass(info.cls, Params)
        if refuses_by_itself and not looked_into:
            return None
        names = None if refuses_by_itself else frozenset(known)

        def check_struct(value: object, path: str) -> UnknownField | None:
            if not isinstance(value, dict):
                return None
            if names is not None and not names.issuperset(value):
                return UnknownField(path, next(name for name in value if name not in names), known)
            return _first(
                check(value[name], f"{path}.{name}") for name, check in looked_into if name in value
            )

        return check_struct

    def _of_union(self, types: tuple[inspect.Type, ...]) -> Check | None:
        """Structs are told apart by their tag, so only the one that is meant is asked."""
        tagged: dict[tuple[str, object], Check] = {}
        others: list[Check] = []
        for option in types:
            check = self.check(option)
            if check is None:
                continue
            if isinstance(option, inspect.StructType) and option.tag_field is not None:
                tagged[option.tag_field, option.tag] = check
            else:
                others.append(check)
        fields = {field for field, _ in tagged}

        def check_union(value: object, path: str) -> UnknownField | None:
            if isinstance(value, dict):
                for field in fields:
                    tag = value.get(field)
                    check = tagged.get((field, tag)) if isinstance(tag, str) else None
                    if check is not None:
                        return check(value, path)
            return _first(check(value, path) for check in others)

        return check_union if tagged or others else None


def _of_list(check: Check | None) -> Check | None:
    if check is None:
        return None

    def check_list(value: object, path: str) -> UnknownField | None:
        if not isinstance(value, list):
            return None
        return _first(check(item, f"{path}[{index}]") for index, item in enumerate(value))

    return check_list


def _of_dict(check: Check | None) -> Check | None:
    if check is None:
        return None

    def check_dict(value: object, path: str) -> UnknownField | None:
        if not isinstance(value, dict):
            return None
        return _first(check(item, f"{path}.{key}") for key, item in value.items())

    return check_dict


def _first(found: Iterable[UnknownField | None]) -> UnknownField | None:
    return next((field for field in found if field is not None), None)
