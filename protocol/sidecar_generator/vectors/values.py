"""Values of the schema's types, built from nothing but the schema and the names of fields."""

import re
from collections.abc import Iterator
from typing import Final

from sidecar_generator.schema import Enum, KindUnion, Schema, StructType, TaggedUnion, TypeRef
from sidecar_generator.vectors import examples

Plain = dict[str, object]

ALL: Final = 2
"""Levels of structs that have every field in a value that is meant to show all."""
CHOSEN_BY_CALLER: Final = "stream"
"""The field that says how a request is answered; clients set it, and not those who fill in params."""
PREFERRED_ARMS: Final = {"ChatMessage": "user"}


class Values:
    """Values of one schema. `levels` of structs have every field; below them only what is required."""

    def __init__(self, schema: Schema) -> None:
        self.types = schema.types
        self._schema = schema

    def struct(self, name: str, levels: int = 0) -> Plain:
        """A value of a struct, its fields in the order of their declaration."""
        kind = self._schema.struct(name)
        fields = {
            item.name: self.of(item.type, item.name, levels - 1, unlike=item.default)
            for item in kind.fields
            if item.required or (levels > 0 and item.name != CHOSEN_BY_CALLER)
        }
        return tagged(kind, fields)

    def arms(self, union: TaggedUnion, levels: int = 0) -> dict[str, Plain]:
        """A value of each arm, by its tag."""
        return {variant.tag: self.struct(variant.type, levels) for variant in union.variants}

    def of(self, ref: TypeRef, field: str, levels: int = 0, *, unlike: object = None) -> object:
        """A value for a field of this name, another than `unlike`."""
        match ref.kind:
            case "string":
                return self._text(ref, field)
            case "integer":
                return _integer(ref, field, unlike)
            case "number":
                return examples.number(field)
            case "boolean":
                return unlike is not True
            case "bytes":
                return b"\x00\x00\x00?\x00\x00\x80>"
            case "json":
                return dict(examples.ANY_JSON)
            case "constant":
                return ref.value
            case "list" if ref.item is not None:
                return self._list(ref.item, field, levels)
            case "map" if ref.item is not None:
                if ref.item.kind == "json":
                    return examples.json_object(field)
                return {examples.key(field): self.of(ref.item, field, levels)}
            case "ref" if ref.name is not None:
                return self._named(ref.name, field, levels, unlike)
        raise ValueError(f"{field}: nothing is known of {ref}")

    def parts(self, ref: TypeRef, value: object, where: str = "") -> Iterator[tuple[str, StructType, Plain]]:
        """Every struct in a value, outer ones first: the path to it, its type, and its own value."""
        match ref.kind:
            case "list" if ref.item is not None and isinstance(value, list):
                for index, item in enumerate(value):
                    yield from self.parts(ref.item, item, f"{where}[{index}]")
            case "ref" if ref.name is not None:
                yield from self._parts_of_named(ref.name, value, where)

    def _parts_of_named(
        self, name: str, value: object, where: str
    ) -> Iterator[tuple[str, StructType, Plain]]:
        match self.types[name]:
            case StructType() as kind if isinstance(value, dict):
                yield where, kind, value
                for item in kind.fields:
                    if item.name in value:
                        yield from self.parts(item.type, value[item.name], joined(where, item.name))
            case TaggedUnion(tag_field=field, variants=variants) if isinstance(value, dict):
                arm = next(variant.type for variant in variants if variant.tag == value[field])
                yield from self._parts_of_named(arm, value, where)
            case KindUnion(variants=arms):
                for arm_ref in arms:
                    if arm_ref.kind == ("list" if isinstance(value, list) else "ref"):
                        yield from self.parts(arm_ref, value, where)

    def _list(self, item: TypeRef, field: str, levels: int) -> list[object]:
        kind = self.types.get(item.name or "")
        if levels > 0 and isinstance(kind, TaggedUnion):
            return list(self.arms(kind).values())
        return [self.of(item, field, levels)]

    def _named(self, name: str, field: str, levels: int, unlike: object) -> object:
        match self.types[name]:
            case StructType():
                return self.struct(name, levels)
            case TaggedUnion(variants=variants):
                preferred = PREFERRED_ARMS.get(name, variants[0].tag)
                arm = next(variant.type for variant in variants if variant.tag == preferred)
                return self.struct(arm, levels)
            case KindUnion(variants=variants):
                return self.of(variants[0], field, levels, unlike=unlike)
            case Enum(values=values):
                return next(value for value in values if value != unlike)

    def _text(self, ref: TypeRef, field: str) -> str:
        found = examples.text(field)
        fits = ref.pattern is None or re.fullmatch(ref.pattern, found)
        return found if fits else examples.text("name")


def tagged(kind: StructType, fields: Plain) -> Plain:
    """The fields of a struct behind its tag."""
    return fields if kind.tag_field is None else {kind.tag_field: kind.tag, **fields}


def with_field(kind: StructType, value: Plain, name: str, changed: object) -> Plain:
    """A struct's value with one field set, in the order of declaration."""
    fields = {**value, name: changed}
    return tagged(kind, {item.name: fields[item.name] for item in kind.fields if item.name in fields})


def without_field(value: Plain, name: str) -> Plain:
    """A struct's value without one field."""
    return {key: item for key, item in value.items() if key != name}


def joined(where: str, name: str) -> str:
    """The path to a field of what is at `where`."""
    return f"{where}.{name}" if where else name


def _integer(ref: TypeRef, field: str, unlike: object) -> int:
    found = examples.integer(field)
    if ref.minimum is not None:
        found = max(found, int(ref.minimum))
    if ref.maximum is not None:
        found = min(found, int(ref.maximum))
    return found + 1 if found == unlike else found
