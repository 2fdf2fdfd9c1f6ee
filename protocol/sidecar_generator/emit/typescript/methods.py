"""types/methods.ts: which method takes, gives back and streams what."""

from sidecar_generator.emit.typescript.text import NOTE, WIDTH, Imports, joined, quoted
from sidecar_generator.schema import Method, Schema


def methods(schema: Schema) -> str:
    """The text of methods.ts."""
    imports = Imports(schema, "methods")
    asked = _map("Methods", "Methods by name.", [_entry(schema, item, imports) for item in schema.methods])
    of_hosts = [_entry(schema, item, imports) for item in schema.host_requests]
    host_methods = _map("HostMethods", "What the engine may ask of a host, by name.", of_hosts)
    told = [f"  {quoted(item.name)}: {imports.type(item.params)};" for item in schema.notifications]
    notifications = _map("Notifications", "Bodies of notifications, by name.", told)
    return joined([f"/** {NOTE} */", *imports.blocks(), asked, host_methods, notifications, _events(schema)])


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
