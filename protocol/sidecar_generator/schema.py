"""The protocol as plain data: what protocol/schema.json holds, and all that emitters read.

Three kinds of union and no other: told apart by a named field (TaggedUnion), by
the kind of JSON value (KindUnion), and strings that may grow (an open Enum).
Every union and every enum has a name.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

TypeKind = Literal[
    "string", "integer", "number", "boolean", "bytes", "json", "list", "map", "constant", "ref"
]
Scalar = str | int | float | bool | None


class TypeRef(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """A use of a type: `item` of a list or a map's values, `name` of a ref, `value` of a constant."""

    kind: TypeKind
    item: "TypeRef | None" = None
    key: "TypeRef | None" = None
    """Of a map whose keys are constrained."""
    name: str | None = None
    value: str | None = None
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    exclusive_maximum: float | None = None
    min_length: int | None = None
    """Of a string, a list or a map."""
    max_length: int | None = None
    pattern: str | None = None


class Field(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """A field of a struct, by its name on the wire."""

    name: str
    type: TypeRef
    doc: str = ""
    required: bool = False
    default: object = None
    """What leaving it out means; of a field that is not required."""
    capability: str | None = None
    """It is `unsupported` by engines without this."""


class StructType(
    msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True, tag_field="kind", tag="struct"
):
    """An object with fields."""

    name: str
    module: str
    doc: str
    fields: list[Field]
    extends: str | None = None
    """A struct whose fields it begins with."""
    tag_field: str | None = None
    """It is always sent with this field, whose value is `tag`."""
    tag: str | None = None
    coalesce: str | None = None
    """Of an event: concat, keep_last or never."""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One arm of a tagged union."""

    tag: str
    type: str


class TaggedUnion(
    msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True, tag_field="kind", tag="tagged"
):
    """One of several structs, told apart by a field. Readers keep what they do not know."""

    name: str
    module: str
    doc: str = ""
    tag_field: str
    variants: list[Variant]


class KindUnion(
    msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True, tag_field="kind", tag="by_kind"
):
    """One of several kinds of JSON value, such as a string or a list."""

    name: str
    module: str
    doc: str = ""
    variants: list[TypeRef]


class Enum(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True, tag_field="kind", tag="enum"):
    """Strings. Readers of an open one keep values that they do not know."""

    name: str
    module: str
    doc: str = ""
    values: list[str]
    open: bool = False


Type = StructType | TaggedUnion | KindUnion | Enum


class Method(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """Something that can be asked. `events` names an event type, or a tagged union of several."""

    name: str
    direction: Literal["host_to_engine", "engine_to_host"]
    doc: str
    params: str
    result: str
    events: str | None = None
    errors: list[str] = []
    idempotent: bool = False
    cancellable: bool = False
    capability: str | None = None
    debug_only: bool = False
    since: int
    deprecated: str | None = None


class Notification(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """Something the engine tells."""

    name: str
    doc: str
    params: str
    since: int


class Capability(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """What an engine may be able to do."""

    name: str
    doc: str
    extra: str | None = None


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """The first part of methods' names."""

    name: str
    doc: str


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the protocol."""

    protocol: int
    namespaces: list[Namespace]
    methods: list[Method]
    host_requests: list[Method]
    notifications: list[Notification]
    capabilities: list[Capability]
    errors: list[str]
    common_errors: list[str]
    limits: dict[str, int]
    message_kinds: list[str]
    messages: list[str]
    """Structs outside of any method: header, handshake, errors."""
    types: dict[str, Type]

    def struct(self, name: str) -> StructType:
        """The struct of this name."""
        found = self.types[name]
        if not isinstance(found, StructType):
            raise TypeError(f"{name} is a {type(found).__name__}, not a struct")
        return found

    def event_types(self, method: Method) -> list[StructType]:
        """The events a method may stream."""
        if method.events is None:
            return []
        found = self.types[method.events]
        if isinstance(found, TaggedUnion):
            return [self.struct(variant.type) for variant in found.variants]
        return [self.struct(method.events)]

    def methods_of(self, namespace: str) -> list[Method]:
        """Methods of one namespace, in the order of their declaration."""
        return [method for method in self.methods if method.name.partition(".")[0] == namespace]


def references(kind: Type) -> Iterator[str]:
    """Names of the types that this type's definition uses."""
    match kind:
        case StructType(fields=fields):
            for field in fields:
                yield from names_in(field.type)
        case TaggedUnion(variants=variants):
            yield from (variant.type for variant in variants)
        case KindUnion(variants=arms):
            for arm in arms:
                yield from names_in(arm)


def names_in(ref: TypeRef) -> Iterator[str]:
    """Names that a use of a type refers to."""
    if ref.name is not None:
        yield ref.name
    if ref.item is not None:
        yield from names_in(ref.item)


def reachable(schema: Schema, roots: list[str]) -> set[str]:
    """The types that values of the root types can hold, themselves included."""
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += references(schema.types[name])
    return seen


SENT_BY_HOST = ("Hello", "SpawnLine", "Header")
SENT_BY_ENGINE = ("Welcome", "ReadyLine", "StartError", "Bye", "ConnectionFile", "ErrorBody", "Header")


def sent_by_host(schema: Schema) -> set[str]:
    """Types in messages of hosts: what an engine must be able to read."""
    roots = [method.params for method in schema.methods]
    roots += [method.result for method in schema.host_requests]
    return reachable(schema, roots + [name for name in SENT_BY_HOST if name in schema.types])


def sent_by_engine(schema: Schema) -> set[str]:
    """Types in messages of the engine: what a host must be able to read."""
    roots = [method.result for method in schema.methods]
    roots += [method.events for method in schema.methods if method.events is not None]
    roots += [method.params for method in schema.host_requests]
    roots += [item.params for item in schema.notifications]
    return reachable(schema, roots + [name for name in SENT_BY_ENGINE if name in schema.types])


def to_json(schema: Schema) -> str:
    """The text of protocol/schema.json."""
    return msgspec.json.format(msgspec.json.encode(schema, order="deterministic"), indent=1).decode() + "\n"


def from_json(text: str) -> Schema:
    """Reads protocol/schema.json or protocol/baseline.json."""
    return msgspec.json.decode(text, type=Schema)
