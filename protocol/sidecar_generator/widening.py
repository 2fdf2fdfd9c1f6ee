"""Whether a type takes more or fewer values than it did; who sends it decides which of the two breaks."""

from dataclasses import dataclass

from sidecar_generator.schema import Enum, KindUnion, Schema, TypeRef


@dataclass(frozen=True, slots=True)
class Shift:
    """How the set of values has changed."""

    wider: bool = False
    """It has values now that it had not."""
    narrower: bool = False
    """It had values that it has no longer."""

    def __or__(self, other: "Shift") -> "Shift":
        return Shift(self.wider or other.wider, self.narrower or other.narrower)

    @property
    def reversed(self) -> "Shift":
        """The change back."""
        return Shift(self.narrower, self.wider)


SAME = Shift()
WIDER = Shift(wider=True)
NARROWER = Shift(narrower=True)
OTHER = Shift(wider=True, narrower=True)
_LOWER_BOUNDS = ("minimum", "exclusive_minimum", "min_length")
_UPPER_BOUNDS = ("maximum", "exclusive_maximum", "max_length")


def shift(before: TypeRef, after: TypeRef, old: Schema, new: Schema) -> Shift:
    """From one use of a type to another. What named types hold is compared where they are declared."""
    nullable = SAME
    if before.nullable != after.nullable:
        nullable = WIDER if after.nullable else NARROWER
    return nullable | _kinds(before, after, old, new) | _bounds(before, after)


def _kinds(before: TypeRef, after: TypeRef, old: Schema, new: Schema) -> Shift:
    if before.kind == after.kind:
        return _same_kind(before, after, old, new)
    if _is_part(before, after, old, new):
        return WIDER
    if _is_part(after, before, new, old):
        return NARROWER
    if {_plain_kind(before, old), _plain_kind(after, new)} == {"string"}:
        return SAME
    return OTHER


def _same_kind(before: TypeRef, after: TypeRef, old: Schema, new: Schema) -> Shift:
    match before.kind:
        case "list" | "map" if before.item is not None and after.item is not None:
            keys = shift(_key(before), _key(after), old, new)
            return keys | shift(before.item, after.item, old, new)
        case "ref" if before.name != after.name:
            return _other_name(before, after, old, new)
        case "constant" if before.value != after.value:
            return OTHER
        case _:
            return SAME


def _other_name(before: TypeRef, after: TypeRef, old: Schema, new: Schema) -> Shift:
    if _is_arm(before, after, new):
        return WIDER
    if _is_arm(after, before, old):
        return NARROWER
    return OTHER


def _is_part(less: TypeRef, more: TypeRef, of_less: Schema, of_more: Schema) -> bool:
    """Whether the first, of another kind, has some of the second's values and no others."""
    if more.kind == "json" or (less.kind, more.kind) == ("integer", "number"):
        return True
    if _is_arm(less, more, of_more):
        return True
    closed = less.kind == "constant" or (less.kind == "ref" and _plain_kind(less, of_less) is None)
    strings = less.kind == "constant" or _is_closed_enum(less, of_less)
    return closed and strings and _plain_kind(more, of_more) == "string"


def _is_arm(arm: TypeRef, union: TypeRef, schema: Schema) -> bool:
    found = schema.types.get(union.name or "")
    return isinstance(found, KindUnion) and any(
        (arm.kind, arm.name) == (variant.kind, variant.name) for variant in found.variants
    )


def _is_closed_enum(ref: TypeRef, schema: Schema) -> bool:
    found = schema.types.get(ref.name or "")
    return isinstance(found, Enum) and not found.open


def _plain_kind(ref: TypeRef, schema: Schema) -> str | None:
    """ "string" for strings and for enums that are open, which take any."""
    found = schema.types.get(ref.name or "")
    if ref.kind == "string" or (isinstance(found, Enum) and found.open):
        return "string"
    return None


def _key(ref: TypeRef) -> TypeRef:
    return ref.key if ref.key is not None else TypeRef(kind="string")


def _bounds(before: TypeRef, after: TypeRef) -> Shift:
    found = SAME
    for name in _LOWER_BOUNDS:
        found |= _bound(getattr(before, name), getattr(after, name), higher_is_narrower=True)
    for name in _UPPER_BOUNDS:
        found |= _bound(getattr(before, name), getattr(after, name), higher_is_narrower=False)
    if before.pattern != after.pattern:
        found |= NARROWER if before.pattern is None else WIDER if after.pattern is None else OTHER
    return found


def _bound(before: float | None, after: float | None, *, higher_is_narrower: bool) -> Shift:
    if before == after:
        return SAME
    if before is None or after is None:
        return NARROWER if before is None else WIDER
    return NARROWER if (after > before) is higher_is_narrower else WIDER
