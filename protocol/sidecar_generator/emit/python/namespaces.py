"""namespaces.py: a class for each namespace, a coroutine for each method, another call for its stream."""

from sidecar_generator.emit.python.calls import (
    STREAM_CLASSES,
    STREAM_DOC,
    Call,
    class_head,
    holder_of_all,
    params_expression,
    signature,
)
from sidecar_generator.emit.python.source import NOTE, Imports
from sidecar_generator.schema import Schema
from sidecar_generator.text import docstring, pascal


def namespaces(schema: Schema, names: list[str]) -> str:
    """The file's text, not yet in form."""
    imports = Imports(schema)
    imports.add("sidecar_client.calls", "Caller")
    body: list[str] = []
    for namespace in names:
        body += ["", "", *class_head(schema, namespace, pascal(namespace))]
        body += ["    def __init__(self, caller: Caller) -> None:", "        self._caller = caller"]
        for method in schema.methods_of(namespace):
            call = Call.of(schema, method)
            body += ["", *_plain_call(call, imports)]
            if method.events is not None:
                body += ["", *_stream_call(call, imports)]
    body += ["", "", *holder_of_all(names, "caller: Caller", "caller", "")]
    head = "The engine's methods by namespace: `engine.chat.create(…)`. Each is one call."
    return "\n".join([f'"""{head}', "", f'{NOTE}\n"""', "", *imports.lines(), *body])


def _plain_call(call: Call, imports: Imports) -> list[str]:
    method, result = call.method, imports.protocol(call.method.result)
    imports.add("sidecar_client.calls", "typed_call")
    arguments = ["self._caller", f'"{method.name}"', result]
    params = params_expression(call)
    if method.cancellable:
        arguments += [params or "None", "deadline_seconds"]
    elif params is not None:
        arguments.append(params)
    return [
        f"    async def {call.name}({signature(call, imports)}) -> {result}:",
        docstring(method.doc, 8),
        f"        return await typed_call({', '.join(arguments)})",
    ]


def _stream_call(call: Call, imports: Imports) -> list[str]:
    method, result = call.method, imports.protocol(call.method.result)
    imports.add("sidecar_protocol.limits", "DEFAULT_CREDIT")
    arguments = signature(call, imports, streams=True)
    params = params_expression(call) or "{}"
    special = STREAM_CLASSES.get(method.name)
    doc = docstring(f"The same as a stream. {STREAM_DOC}", 8)
    if special is None:
        imports.add("sidecar_client.calls", "typed_stream")
        stream = imports.add("sidecar_client.stream", "Stream")
        events = imports.protocol(method.events or "")
        passed = f'self._caller, "{method.name}", {result}, {params}, credit, deadline_seconds'
        return [
            f"    def {call.stream_name}({arguments}) -> {stream}[{events}, {result}]:",
            doc,
            f"        return typed_stream({passed})",
        ]
    imports.add("sidecar_client.stream", special)
    for name in ("event_reader", "result_reader"):
        imports.add("sidecar_client.calls", name)
    sent = f'"{method.name}", {{**params, "stream": True}}, credit=credit, deadline_seconds=deadline_seconds'
    readers = f'event_reader("{method.name}"), result_reader("{method.name}", {result})'
    return [
        f"    def {call.stream_name}({arguments}) -> {special}:",
        doc,
        f"        request = self._caller.submit({sent})",
        f"        return {special}(request, {readers})",
    ]
