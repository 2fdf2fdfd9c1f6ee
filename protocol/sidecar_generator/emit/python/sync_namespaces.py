"""sync_namespaces.py: the same for programs without asyncio."""

from sidecar_generator.emit.python.calls import (
    STREAM_CLASSES,
    STREAM_DOC,
    Call,
    class_head,
    holder_of_all,
    signature,
)
from sidecar_generator.emit.python.source import NOTE, Imports
from sidecar_generator.schema import Schema
from sidecar_generator.text import docstring, pascal


def sync_namespaces(schema: Schema, names: list[str]) -> str:
    """The file's text, not yet in form."""
    imports = Imports(schema)
    imports.add("sidecar_client.portal", "Portal")
    imports.add("sidecar_client.namespaces", "Namespaces")
    body: list[str] = []
    for namespace in names:
        name = f"Sync{pascal(namespace)}"
        body += ["", "", *class_head(schema, namespace, name)]
        body += [
            "    def __init__(self, portal: Portal, engine: Namespaces) -> None:",
            "        self._portal = portal",
            f"        self._{namespace} = engine.{namespace}",
        ]
        for method in schema.methods_of(namespace):
            call = Call.of(schema, method)
            body += ["", *_sync_plain_call(namespace, call, imports)]
            if method.events is not None:
                body += ["", *_sync_stream_call(namespace, call, imports)]
    body += [
        "",
        "",
        *holder_of_all(names, "portal: Portal, engine: Namespaces", "portal, engine", "Sync"),
    ]
    head = "The engine's methods by namespace, each waiting for its asynchronous twin."
    return "\n".join([f'"""{head}', "", f'{NOTE}\n"""', "", *imports.lines(), *body])


def _sync_plain_call(namespace: str, call: Call, imports: Imports) -> list[str]:
    result = imports.protocol(call.method.result)
    arguments = _passed_on(call)
    return [
        f"    def {call.name}({signature(call, imports)}) -> {result}:",
        docstring(call.method.doc, 8),
        f"        return self._portal.run(self._{namespace}.{call.name}({', '.join(arguments)}))",
    ]


def _sync_stream_call(namespace: str, call: Call, imports: Imports) -> list[str]:
    method, result = call.method, imports.protocol(call.method.result)
    special = STREAM_CLASSES.get(method.name)
    plain = "SyncStream"
    kind = imports.add("sidecar_client.sync_stream", f"Sync{special}" if special is not None else plain)
    annotation = kind if special is not None else f"{kind}[{imports.protocol(method.events or '')}, {result}]"
    arguments = ", ".join(_passed_on(call, streams=True))
    return [
        f"    def {call.stream_name}({signature(call, imports, streams=True)}) -> {annotation}:",
        docstring(f"The same as a stream. {STREAM_DOC}", 8),
        "        stream = self._portal.call(",
        f"            lambda: self._{namespace}.{call.stream_name}({arguments})",
        "        )",
        f"        return {kind}(self._portal, stream)",
    ]


def _passed_on(call: Call, *, streams: bool = False) -> list[str]:
    arguments = [item.name for item in call.positional]
    if streams:
        arguments.append("credit=credit")
    if call.method.cancellable:
        arguments.append("deadline_seconds=deadline_seconds")
    if call.keywords is not None:
        arguments.append("**params")
    return arguments
