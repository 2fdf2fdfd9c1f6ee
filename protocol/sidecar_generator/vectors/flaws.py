"""Values that are not of a type, each with one flaw."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from sidecar_generator.schema import Enum, Field, KindUnion, StructType, TaggedUnion, TypeRef
from sidecar_generator.vectors import examples
from sidecar_generator.vectors.accepted import LONGEST_NAME, OF_TOMORROW
from sidecar_generator.vectors.values import (
    ALL,
    CHOSEN_BY_CALLER,
    Values,
    joined,
    with_field,
    without_field,
)
from sidecar_generator.vectors.vector import FlawKind, Rejected, Role

_OTHER_KINDS: Final = {
    "string": ("a number", 7),
    "integer": ("a string", "7"),
    "number": ("a string", "0.5"),
    "boolean": ("a number", 1),
    "bytes": ("a list", [1]),
    "list": ("a map", {}),
    "map": ("a list", []),
    "constant": ("a number", 7),
}
_ANY_KEY: Final = "[...]"
"""How a path goes on into a value of a map, whatever its key."""


class Flaw(NamedTuple):
    """A value that a type does not hold; `where` is how a path to it goes on to what is wrong."""

    what: str
    kind: FlawKind
    value: object
    where: str = ""


def rejected_of(values: Values, name: str, role: Role) -> Iterator[Rejected]:
    """The vectors of one type."""
    match values.types[name]:
        case StructType() as kind:
            found = [*_of_struct(values, kind), *(_misspelt(values, kind) if role == "params" else ())]
        case TaggedUnion() as union:
            found = [*_of_tagged_union(values, union)]
        case KindUnion() | Enum():
            found = [*_of_use(values, TypeRef(kind="ref", name=name), examples.snake(name))]
    for flaw in found:
        yield Rejected(f"{name}: {flaw.what}", name, flaw.value, flaw.kind, flaw.where.removeprefix("."))


def _of_struct(values: Values, kind: StructType) -> Iterator[Flaw]:
    minimal = values.struct(kind.name)
    for item in kind.fields:
        if item.name == CHOSEN_BY_CALLER:
            continue
        if item.required:
            value = without_field(minimal, item.name)
            yield Flaw(f"{item.name} is missing", "missing", value, item.name)
        for flaw in _of_field(values, item):
            value = with_field(kind, minimal, item.name, flaw.value)
            yield Flaw(f"{item.name} {flaw.what}", flaw.kind, value, item.name + flaw.where)


def _of_field(values: Values, item: Field) -> Iterator[Flaw]:
    yield from _of_use(values, item.type, item.name)
    # Whether null may stand for a field that can be left out is for each language to say.
    if item.required and not item.type.nullable and item.type.kind != "json":
        yield Flaw("is null", "kind", None)


def _of_use(values: Values, ref: TypeRef, field: str) -> Iterator[Flaw]:
    """What is wrong with other values than those of this use of a type."""
    if ref.kind in _OTHER_KINDS:
        what, value = _OTHER_KINDS[ref.kind]
        yield Flaw(f"is {what}", "kind", value)
    match ref.kind:
        case "integer":
            yield Flaw("is a float", "float_for_integer", 1.5)
            yield from _beyond(ref, 1)
        case "number":
            yield from _beyond(ref, 0.5)
        case "string" if ref.pattern is not None:
            yield Flaw("is too long", "pattern", "a" * (LONGEST_NAME + 1))
            yield Flaw("has a blank", "pattern", "a b")
            yield Flaw("is empty", "pattern", "")
        case "string" if ref.max_length is not None:
            yield Flaw("is too long", "length", "x" * (ref.max_length + 1))
        case "constant":
            yield Flaw("is another word", "unknown_option", OF_TOMORROW)
        case "list" if ref.item is not None:
            yield from _of_list(values, ref, ref.item, field)
        case "map" if ref.item is not None:
            yield from _of_map(values, ref, ref.item, field)
        case "ref" if ref.name is not None:
            yield from _of_named(values, ref.name, field)


def _beyond(ref: TypeRef, step: float) -> Iterator[Flaw]:
    least = ref.minimum if ref.minimum is not None else ref.exclusive_minimum
    most = ref.maximum if ref.maximum is not None else ref.exclusive_maximum
    if least is not None:
        yield Flaw("is too small", "range", least - step)
    if most is not None:
        yield Flaw("is too large", "range", most + step)


def _of_list(values: Values, ref: TypeRef, item: TypeRef, field: str) -> Iterator[Flaw]:
    for flaw in _of_use(values, item, field):
        yield Flaw(f"has an item that {flaw.what}", flaw.kind, [flaw.value], f"[0]{flaw.where}")
    if ref.max_length is not None:
        yield Flaw("is too long", "length", [values.of(item, field)] * (ref.max_length + 1))


def _of_map(values: Values, ref: TypeRef, item: TypeRef, field: str) -> Iterator[Flaw]:
    key = examples.key(field)
    for flaw in _of_use(values, item, field):
        yield Flaw(f"has a value that {flaw.what}", flaw.kind, {key: flaw.value}, _ANY_KEY + flaw.where)
    if ref.max_length is not None:
        keys = [f"key_{number:02}" for number in range(ref.max_length + 1)]
        yield Flaw("has too many keys", "length", {name: values.of(item, field) for name in keys})
    if ref.key is not None and ref.key.max_length is not None:
        longer = "k" * (ref.key.max_length + 1)
        yield Flaw("has a key that is too long", "length", {longer: values.of(item, field)})
    if ref.key is not None and ref.key.min_length:
        yield Flaw("has an empty key", "length", {"": values.of(item, field)})


def _of_named(values: Values, name: str, field: str) -> Iterator[Flaw]:
    match values.types[name]:
        case Enum(open=is_open):
            yield Flaw("is a number", "kind", 7)
            if not is_open:
                yield Flaw("is another word", "unknown_option", OF_TOMORROW)
        case KindUnion(variants=arms):
            yield Flaw("is a boolean", "kind", True)
            for arm in arms:
                yield from _of_arm(values, arm, field)
        case _:
            yield Flaw("is a string", "kind", "text")


def _of_arm(values: Values, arm: TypeRef, field: str) -> Iterator[Flaw]:
    """What is wrong with a value that can only be meant for this arm."""
    named = values.types.get(arm.name or "")
    match arm.kind:
        case "integer":
            yield Flaw("is a float", "float_for_integer", 1.5)
        case "list" if arm.item is not None:
            yield from _of_list(values, arm, arm.item, field)
        case "ref" if isinstance(named, TaggedUnion):
            yield from (flaw for flaw in _of_tagged_union(values, named) if flaw.where)
        case "ref" if isinstance(named, Enum) and not named.open:
            yield Flaw("is another word", "unknown_option", OF_TOMORROW)


def _of_tagged_union(values: Values, union: TaggedUnion) -> Iterator[Flaw]:
    field = union.tag_field
    value = values.struct(union.variants[0].type)
    yield Flaw("is a string", "kind", "text")
    yield Flaw(f"{field} is missing", "missing", without_field(value, field), f".{field}")
    yield Flaw(f"{field} is a number", "kind", {**value, field: 7}, f".{field}")
    yield Flaw(f"{field} is another word", "unknown_option", {**value, field: OF_TOMORROW}, f".{field}")


def _misspelt(values: Values, kind: StructType) -> Iterator[Flaw]:
    """A field that no type knows, once in each type that params hold."""
    full = values.struct(kind.name, ALL)
    root = TypeRef(kind="ref", name=kind.name)
    seen: set[str] = set()
    for where, part, _ in values.parts(root, full):
        if part.name not in seen:
            seen.add(part.name)
            name = misspelt([item.name for item in part.fields])
            fresh = values.struct(kind.name, ALL)
            at = next(value for path, _, value in values.parts(root, fresh) if path == where)
            at[name] = 1
            yield Flaw(f"{joined(where, name)} is unknown", "unknown_field", fresh, joined(where, name))


def misspelt(names: list[str]) -> str:
    """The longest of the names without its end, so that it is none of them."""
    wrong = max(names, key=len, default="no_such_fields")[:-1]
    while wrong in names:
        wrong = wrong[:-1]
    return wrong
