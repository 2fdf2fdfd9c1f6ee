"""What breaks hosts of the last release in types.

What the host sends must go on being accepted, so there a type may only take
more; what the engine sends must go on being readable, so there it may only give
less. A type that goes both ways is held to both.
"""

from collections.abc import Iterator

from sidecar_generator.change import Change
from sidecar_generator.schema import Enum, Field, KindUnion, StructType, TaggedUnion, TypeRef
from sidecar_generator.widening import NARROWER, SAME, WIDER, Shift, shift


def removed_types(change: Change) -> Iterator[str]:
    """A type has gone, or is of another kind."""
    for name, old in change.before.types.items():
        new = change.after.types.get(name)
        if new is None:
            yield f"the type {name} was removed"
        elif type(new) is not type(old):
            yield f"{name} was a {type(old).__name__}, now it is a {type(new).__name__}"


def removed_fields(change: Change) -> Iterator[str]:
    """A field has gone: the engine refuses it in params, hosts miss it in results."""
    for old, new in change.types(StructType):
        present = {item.name for item in new.fields}
        for item in old.fields:
            if item.name not in present:
                yield f"{old.name}.{item.name} was removed"


def newly_required_fields(change: Change) -> Iterator[str]:
    """A host must send what it did not have to."""
    for old, new in change.types(StructType):
        if old.name in change.sent_by_host:
            required = {item.name for item in old.fields if item.required}
            for item in new.fields:
                if item.required and item.name not in required:
                    yield f"{old.name}.{item.name} is required now"


def no_longer_given_fields(change: Change) -> Iterator[str]:
    """The engine may leave out what it always sent."""
    for old, new in change.types(StructType):
        if old.name in change.sent_by_engine:
            for before, after in _common(old, new):
                if before.required and not after.required:
                    yield f"{old.name}.{before.name} may be missing now"


def changed_defaults(change: Change) -> Iterator[str]:
    """Leaving a field out means something else."""
    for old, new in change.types(StructType):
        for before, after in _common(old, new):
            if not before.required and not after.required and before.default != after.default:
                yield f"{old.name}.{before.name}: the default was {before.default!r}, now {after.default!r}"


def new_conditions_on_fields(change: Change) -> Iterator[str]:
    """A field of params needs a capability that it did not need."""
    for old, new in change.types(StructType):
        for before, after in _common(old, new):
            if after.capability not in (None, before.capability):
                yield f"{old.name}.{before.name} needs the capability {after.capability} now"


def changed_field_types(change: Change) -> Iterator[str]:
    """A field takes fewer values in what hosts send, or more in what the engine sends."""
    for old, new in change.types(StructType):
        for before, after in _common(old, new):
            found = shift(before.type, after.type, change.before, change.after)
            yield from _judged(change, old.name, f"{old.name}.{before.name}", found)


def changed_tags(change: Change) -> Iterator[str]:
    """A struct is told from others by another field or value."""
    for old, new in change.types(StructType):
        if (old.tag_field, old.tag) != (new.tag_field, new.tag):
            yield f"{old.name} was tagged {old.tag_field}={old.tag}, now {new.tag_field}={new.tag}"
    for union, now in change.types(TaggedUnion):
        if union.tag_field != now.tag_field:
            yield f"{union.name} was told apart by {union.tag_field}, now by {now.tag_field}"


def changed_coalescing(change: Change) -> Iterator[str]:
    """An event is held back in another way while a reader is slow."""
    for old, new in change.types(StructType):
        if old.coalesce != new.coalesce:
            yield f"{old.name} coalesced {old.coalesce}, now {new.coalesce}"


def changed_enums(change: Change) -> Iterator[str]:
    """A closed enum has lost a value, or got one that hosts cannot read; or an enum was closed or opened."""
    for old, new in change.types(Enum):
        if old.open and new.open:
            continue
        lost = [value for value in old.values if value not in new.values]
        gained = [value for value in new.values if value not in old.values]
        if lost and not new.open:
            yield f"{old.name} lost {', '.join(lost)}"
        if gained and old.name in change.sent_by_engine and not old.open:
            yield f"{old.name} has got {', '.join(gained)}, which hosts cannot read"
        if old.open != new.open:
            found = WIDER if new.open else NARROWER
            yield from _judged(change, old.name, old.name, found)


def changed_variants(change: Change) -> Iterator[str]:
    """A tagged union has lost a variant, or has another type in its place.

    New variants break nothing: readers keep what they do not know.
    """
    for old, new in change.types(TaggedUnion):
        present = {variant.tag: variant.type for variant in new.variants}
        for variant in old.variants:
            if variant.tag not in present:
                yield f"{old.name} lost the variant {variant.tag}"
            elif present[variant.tag] != variant.type:
                yield f"{old.name}: {variant.tag} was {variant.type}, now {present[variant.tag]}"


def changed_kinds(change: Change) -> Iterator[str]:
    """A union by kind of value takes fewer kinds of hosts, or gives them more."""
    for old, new in change.types(KindUnion):
        found = SAME
        olds, news = _by_arm(old), _by_arm(new)
        for arm, before in olds.items():
            found |= shift(before, news[arm], change.before, change.after) if arm in news else NARROWER
        if any(arm not in olds for arm in news):
            found |= WIDER
        yield from _judged(change, old.name, old.name, found)


def _judged(change: Change, name: str, where: str, found: Shift) -> Iterator[str]:
    if found.narrower and name in change.sent_by_host:
        yield f"{where} takes fewer values than hosts send"
    if found.wider and name in change.sent_by_engine:
        yield f"{where} has values that hosts cannot read"


def _common(old: StructType, new: StructType) -> Iterator[tuple[Field, Field]]:
    present = {item.name: item for item in new.fields}
    return ((item, present[item.name]) for item in old.fields if item.name in present)


def _by_arm(union: KindUnion) -> dict[tuple[str, str | None], TypeRef]:
    return {(variant.kind, variant.name): variant for variant in union.variants}
