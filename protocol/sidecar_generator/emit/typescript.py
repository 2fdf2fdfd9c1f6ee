"""The generated parts of the TypeScript client: the protocol's types, and which method has which."""

from collections.abc import Iterable

from sidecar_generator.emit.typescript_calls import namespaces
from sidecar_generator.emit.typescript_text import (
    NOTE,
    WIDTH,
    Imports,
    commented,
    file_name,
    joined,
    quoted,
    scalar,
    union,
)
from sidecar_generator.schema import (
    Enum,
    Field,
    KindUnion,
    Method,
    Schema,
    StructType,
    TaggedUnion,
    Type,
    TypeRef,
    reachable,
)

CLIENT = "clients/typescript/src"
WRITTEN_BY_HAND = frozenset({"envelope"})
"""Modules of types that no caller ever sees."""
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


def emit(schema: Schema) -> dict[str, str]:
    """A file of types for each module of the protocol, methods.ts and namespaces.ts."""
    modules: dict[str, list[Type]] = {}
    for kind in schema.types.values():
        if kind.module not in WRITTEN_BY_HAND:
            modules.setdefault(kind.module, []).append(kind)
    types = _Types(schema)
    return {
        **{f"{CLIENT}/types/{file_name(name)}.ts": types.module(name, modules[name]) for name in modules},
        f"{CLIENT}/types/index.ts": _index(modules),
        f"{CLIENT}/types/methods.ts": _methods(schema),
        f"{CLIENT}/namespaces.ts": namespaces(schema),
    }


class _Types:
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


def _index(modules: Iterable[str]) -> str:
    names = sorted([*(file_name(name) for name in modules), "methods", "open-enum"])
    exports = "\n".join(f'export type * from "./{name}.js";' for name in names)
    return joined(["/** The protocol's types. */", exports])


def _methods(schema: Schema) -> str:
    imports = Imports(schema, "methods")
    methods = _map("Methods", "Methods by name.", [_entry(schema, item, imports) for item in schema.methods])
    asked = [_entry(schema, item, imports) for item in schema.host_requests]
    host_methods = _map("HostMethods", "What the engine may ask of a host, by name.", asked)
    told = [f"  {quoted(item.name)}: {imports.type(item.params)};" for item in schema.notifications]
    notifications = _map("Notifications", "Bodies of notifications, by name.", told)
    return joined(
        [f"/** {NOTE} */", *imports.blocks(), methods, host_methods, notifications, _events(schema)]
    )


def _map(name: str, doc: str, entries: list[str]) -> str:
    return "\n".join([f"/** {doc} */", f"export interface {name} {{", *entries, "}"])


def _entry(schema: Schema, method: Method, imports: Imports) -> str:
    parts = [f"params: {imports.type(method.params)}", f"result: {imports.type(method.result)}"]
    if method.events is not None:
        parts.append(f"event: {imports.events(method.events)}")
    line = f"  {quoted(method.name)}: {{ {'; '.join(parts)} }};"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"  {quoted(method.name)}: {{", *(f"    {part};" for part in parts), "  };"])


def _events(schema: Schema) -> str:
    lines = ["/** The event types that this version knows, by method. */"]
    lines.append("export const EVENT_TYPES: Readonly<Record<string, readonly string[]>> = {")
    for method in schema.methods:
        tags = [quoted(kind.tag or "") for kind in schema.event_types(method)]
        if not tags:
            continue
        line = f"  {quoted(method.name)}: [{', '.join(tags)}],"
        if len(line) > WIDTH:
            line = "\n".join([f"  {quoted(method.name)}: [", *(f"    {tag}," for tag in tags), "  ],"])
        lines.append(line)
    return "\n".join([*lines, "};"])
