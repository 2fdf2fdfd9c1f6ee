"""types/*.ts: a file for each module of the protocol."""

from sidecar_generator.emit.typescript.text import (
    NOTE,
    WIDTH,
    Imports,
    commented,
    joined,
    quoted,
    scalar,
    union,
)
from sidecar_generator.schema import (
    Enum,
    Field,
    KindUnion,
    Schema,
    StructType,
    TaggedUnion,
    Type,
    TypeRef,
    reachable,
)

SENT_BY_HOSTS = ("Hello", "SpawnLine")
"""Messages outside of any method that a host writes."""
NOT_IN_PARAMS = frozenset({"stream"})
"""Fields that the client fills in itself."""
_SCALARS = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "bytes": "Uint8Array",
    "json": "unknown",
}


class Types:
    """Writes the types of one schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        results = [method.result for method in schema.methods]
        events = [method.events for method in schema.methods if method.events is not None]
        told = [method.params for method in schema.host_requests]
        told += [item.params for item in schema.notifications]
        messages = set(schema.messages)
        self._params = {method.params for method in schema.methods}
        self._read = reachable(schema, [*results, *events, *told, *(messages - set(SENT_BY_HOSTS))])
        self._events = set(events)

    def module(self, name: str, kinds: list[Type]) -> str:
        """All types of a module."""
        imports = Imports(self._schema, name)
        blocks = [self._definition(kind, imports) for kind in kinds]
        return joined([f"/** {NOTE} */", *imports.blocks(), *blocks])

    def _definition(self, kind: Type, imports: Imports) -> str:
        match kind:
            case StructType():
                return self._struct(kind, imports)
            case TaggedUnion(variants=variants):
                arms = [imports.type(variant.type) for variant in variants]
                if kind.name in self._events:
                    arms.append(imports.type("UnknownEvent"))
            case KindUnion(variants=refs):
                arms = [_type(ref, imports) for ref in refs]
            case Enum(values=values, open=False):
                arms = [quoted(value) for value in values]
            case Enum(values=values):
                return commented(kind.doc) + _open_enum(kind.name, values, imports)
        return commented(kind.doc) + union(f"export type {kind.name} =", arms, ";")

    def _struct(self, kind: StructType, imports: Imports) -> str:
        inherited: set[str] = set()
        heritage = ""
        if kind.extends is not None:
            inherited = {item.name for item in self._schema.struct(kind.extends).fields}
            heritage = f" extends {imports.type(kind.extends)}"
        fields = [item for item in kind.fields if item.name not in inherited | self._hidden(kind)]
        lines = [] if kind.tag_field is None else [f"  {kind.tag_field}: {quoted(kind.tag or '')};"]
        lines += [self._field(kind, item, imports) for item in fields]
        if not lines and not heritage:
            return f"{commented(kind.doc)}export type {kind.name} = Record<string, never>;"
        return "\n".join([f"{commented(kind.doc)}export interface {kind.name}{heritage} {{", *lines, "}"])

    def _hidden(self, kind: StructType) -> frozenset[str]:
        extended = {self._schema.struct(name).extends for name in self._params}
        return NOT_IN_PARAMS if kind.name in self._params | extended else frozenset()

    def _field(self, kind: StructType, item: Field, imports: Imports) -> str:
        read = kind.name in self._read
        written = _type(item.type, imports, nullable=item.required or not read)
        doc = " ".join(filter(None, [item.doc, _default(item), _capability(item)]))
        mark = "" if item.required else "?"
        return f"{commented(doc, 2)}  {item.name}{mark}: {written};"


def _default(item: Field) -> str:
    if item.required or not isinstance(item.default, str | int | float):
        return ""
    return f"Default: {scalar(item.default)}."


def _capability(item: Field) -> str:
    return "" if item.capability is None else f"Needs the capability `{item.capability}`."


def _open_enum(name: str, values: list[str], imports: Imports) -> str:
    head = f"export type {name} = {imports.type('OpenEnum')}<"
    arms = [quoted(value) for value in values]
    line = f"{head}{' | '.join(arms)}>;"
    if len(line) <= WIDTH:
        return line
    one_line = f"  {' | '.join(arms)}"
    if len(one_line) <= WIDTH:
        return f"{head}\n{one_line}\n>;"
    return "\n".join([head, *(f"  | {arm}" for arm in arms), ">;"])


def _type(ref: TypeRef, imports: Imports, *, nullable: bool = True) -> str:
    match ref.kind:
        case "list" if ref.item is not None:
            item = _type(ref.item, imports)
            written = f"({item})[]" if " | " in item else f"{item}[]"
        case "map" if ref.item is not None:
            written = f"Record<string, {_type(ref.item, imports)}>"
        case "constant":
            written = quoted(ref.value or "")
        case "ref" if ref.name is not None:
            written = imports.type(ref.name)
        case _:
            written = _SCALARS[ref.kind]
    return f"{written} | null" if nullable and ref.nullable and written != "unknown" else written
