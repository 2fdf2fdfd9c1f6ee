"""Values of every type: with what is required, with everything, with each arm, at both ends of ranges."""

from collections.abc import Iterator

from sidecar_generator.schema import Enum, KindUnion, StructType, TaggedUnion, TypeRef
from sidecar_generator.vectors import examples
from sidecar_generator.vectors.values import (
    ALL,
    CHOSEN_BY_CALLER,
    Plain,
    Values,
    with_field,
)
from sidecar_generator.vectors.vector import Accepted

OF_TOMORROW = "of_tomorrow"
LONGEST_NAME = 64


def accepted_of(values: Values, name: str) -> Iterator[Accepted]:
    """The vectors of one type."""
    match values.types[name]:
        case StructType() as kind:
            yield from _of_struct(values, kind)
        case TaggedUnion() as union:
            for tag, struct in values.arms(union, 1).items():
                yield Accepted(f"{name}: {tag}", name, struct)
        case KindUnion() as union:
            for arm, value in _arms(values, union):
                yield Accepted(f"{name}: {arm}", name, value)
        case Enum(values=words, open=is_open):
            for word in [*words, OF_TOMORROW] if is_open else words:
                yield Accepted(f"{name}: {word}", name, word)


def kind_of_arm(ref: TypeRef) -> str:
    """How an arm of a union by kind is called."""
    return ref.name if ref.name is not None else f"a {ref.kind}"


def _of_struct(values: Values, kind: StructType) -> Iterator[Accepted]:
    minimal = values.struct(kind.name)

    def vector(what: str, value: Plain) -> Accepted:
        return Accepted(f"{kind.name}: {what}", kind.name, value)

    yield vector("minimal", minimal)
    full = values.struct(kind.name, ALL)
    if full != minimal:
        yield vector("every field", full)
    emptied = _emptied(kind, minimal)
    if emptied != minimal:
        yield vector("nothing in its lists and maps", emptied)
    for item in kind.fields:
        if item.name == CHOSEN_BY_CALLER:
            yield vector(CHOSEN_BY_CALLER, with_field(kind, minimal, item.name, not item.default))
        for what, end in _ends(values, item.type, item.name):
            if end != item.default:
                yield vector(f"{item.name} {what}", with_field(kind, minimal, item.name, end))


def _emptied(kind: StructType, value: Plain) -> Plain:
    """The value with nothing in the lists and maps that may not be missing."""
    for item in kind.fields:
        if item.required and item.type.kind in ("list", "map"):
            value = with_field(kind, value, item.name, [] if item.type.kind == "list" else {})
    return value


def _arms(values: Values, union: KindUnion) -> Iterator[tuple[str, object]]:
    field = examples.snake(union.name)
    for ref in union.variants:
        kind = values.types.get(ref.name or "")
        match kind:
            case TaggedUnion():
                yield from values.arms(kind, 1).items()
            case Enum(values=words):
                yield from ((word, word) for word in words)
            case _:
                yield kind_of_arm(ref), values.of(ref, field, 1)


def _ends(values: Values, ref: TypeRef, field: str) -> Iterator[tuple[str, object]]:
    """Values at the ends of what a field may hold."""
    if ref.kind == "integer" and ref.minimum is not None:
        yield "at its least", int(ref.minimum)
    if ref.kind == "integer" and ref.maximum is not None:
        yield "at its most", int(ref.maximum)
    if ref.kind == "string" and ref.pattern is not None:
        yield "at its shortest", "a"
        yield "at its longest", "a" * LONGEST_NAME
    if ref.kind == "list" and ref.item is not None and ref.max_length is not None:
        yield "at its longest", [values.of(ref.item, field)] * ref.max_length
    if ref.kind == "map" and ref.item is not None and ref.max_length is not None:
        yield "at its longest", _longest_map(ref, ref.item, ref.max_length)


def _longest_map(ref: TypeRef, item: TypeRef, length: int) -> Plain:
    """As many keys as it may have; the last one, and its value, as long as they may be."""
    keys = [f"key_{number:02}" for number in range(1, length)]
    longest_key = "z" * (ref.key.max_length if ref.key is not None and ref.key.max_length else 1)
    return {**dict.fromkeys(keys, "value"), longest_key: "x" * (item.max_length or 1)}
