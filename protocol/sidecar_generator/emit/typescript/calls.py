"""namespaces.ts: a typed call for every method."""

from sidecar_generator.emit.typescript.text import (
    NOTE,
    WIDTH,
    Imports,
    camel,
    commented,
    imported,
    joined,
    quoted,
)
from sidecar_generator.schema import Method, Schema
from sidecar_generator.text import pascal

ON_THE_ENGINE_ITSELF = frozenset({"engine"})
"""Namespaces whose methods are the Engine's own, written by hand."""
STREAM_CLASSES = {"chat.create": "ChatStream", "generate.create": "GenerateStream"}
"""Methods whose stream can do more than give events and a result."""
_STREAM_DOC = "The same as a stream; leaving its loop cancels."


def namespaces(schema: Schema) -> str:
    """The text of namespaces.ts."""
    names = [item.name for item in schema.namespaces if item.name not in ON_THE_ENGINE_ITSELF]
    imports = Imports(schema, "namespaces", "./types")
    classes = [_namespace(schema, name, imports) for name in names]
    streams = ["Stream", *STREAM_CLASSES.values()]
    openers = ["openStream", *(f"open{name}" for name in STREAM_CLASSES.values())]
    from_stream = sorted([*(f"type {name}" for name in streams), *openers], key=_by_name)
    ours = [
        imported(
            ["type CallOptions", "type Caller", "type StreamingOptions", "call"], "./caller.js", word="import"
        ),
        imported(from_stream, "./stream.js", word="import"),
    ]
    (theirs,) = imports.blocks()
    head = "The engine's methods by namespace: `engine.chat.create(…)`. Each is one call."
    return joined(
        [
            f"/**\n * {head}\n *\n * {NOTE}\n */",
            "\n".join([*ours, theirs]),
            *classes,
            _everything(names),
        ]
    )


def _by_name(item: str) -> tuple[bool, str]:
    name = item.removeprefix("type ")
    return (name[0].islower(), name)


def _namespace(schema: Schema, namespace: str, imports: Imports) -> str:
    doc = next(item.doc for item in schema.namespaces if item.name == namespace)
    members = [
        "  readonly #caller: Caller;",
        "  constructor(caller: Caller) {\n    this.#caller = caller;\n  }",
    ]
    for method in schema.methods_of(namespace):
        members.append(_call(schema, method, imports))
        if method.events is not None:
            members.append(_stream(schema, method, imports))
    head = f"{commented(f'{namespace}.*: {doc}')}export class {pascal(namespace)} {{"
    return f"{head}\n" + "\n\n".join(members) + "\n}"


def _call(schema: Schema, method: Method, imports: Imports) -> str:
    params, argument = _params(schema, method, imports)
    result = imports.type(method.result)
    arguments = ", ".join(["this.#caller", quoted(method.name), argument, "options"])
    return _member(
        _doc(method, method.doc),
        camel(_verb(method)),
        [*params, "options?: CallOptions"],
        f"Promise<{result}>",
        f"call({arguments})",
    )


def _stream(schema: Schema, method: Method, imports: Imports) -> str:
    params, argument = _params(schema, method, imports)
    verb = _verb(method)
    name = "stream" if verb == "create" else f"{camel(verb)}Stream"
    special = STREAM_CLASSES.get(method.name)
    if special is None:
        kind = f"Stream<{imports.events(method.events or '')}, {imports.type(method.result)}>"
        body = f"openStream(this.#caller, {quoted(method.name)}, {argument}, options)"
    else:
        kind = special
        body = f"open{special}(this.#caller, {argument}, options)"
    return _member(_doc(method, _STREAM_DOC), name, [*params, "options?: StreamingOptions"], kind, body)


def _member(doc: str, name: str, parameters: list[str], kind: str, body: str) -> str:
    line = f"  {name}({', '.join(parameters)}): {kind} {{"
    if len(line) > WIDTH:
        line = "\n".join([f"  {name}(", *(f"    {item}," for item in parameters), f"  ): {kind} {{"])
    return f"{commented(doc, 2)}{line}\n    return {body};\n  }}"


def _params(schema: Schema, method: Method, imports: Imports) -> tuple[list[str], str]:
    """What the caller gives, and what is passed on."""
    fields = [item for item in schema.struct(method.params).fields if item.name != "stream"]
    if not fields:
        return [], "{}"
    kind = imports.type(method.params)
    if any(item.required for item in fields):
        return [f"params: {kind}"], "params"
    return [f"params: {kind} = {{}}"], "params"


def _verb(method: Method) -> str:
    return method.name.partition(".")[2]


def _doc(method: Method, doc: str) -> str:
    if method.capability is not None:
        doc = f"{doc} Needs the capability `{method.capability}`."
    return doc if method.deprecated is None else f"{doc}\n\n@deprecated {method.deprecated}"


def _everything(names: list[str]) -> str:
    """The class that holds one of each; the engine is one."""
    lines = [
        "/** Every namespace, as an attribute. */",
        "export abstract class Namespaces implements Caller {",
    ]
    lines += [f"  readonly {name}: {pascal(name)} = new {pascal(name)}(this);" for name in names]
    lines += [
        "",
        '  abstract submit(...request: Parameters<Caller["submit"]>): ReturnType<Caller["submit"]>;',
    ]
    return "\n".join([*lines, "}"])
