"""host_handlers.py: what may answer each request of the engine, as a TypedDict."""

from sidecar_generator.emit.python.source import NOTE, Imports
from sidecar_generator.schema import Schema


def host_handlers(schema: Schema) -> str:
    """The file's text, not yet in form."""
    imports = Imports(schema)
    for name in ("Awaitable", "Callable"):
        imports.add("collections.abc", name)
    imports.add("typing", "TypedDict")
    imports.add("sidecar_client.parameters", "Plain")
    entries = []
    for request in schema.host_requests:
        params, result = imports.protocol(request.params), imports.protocol(request.result)
        entries.append(f'"{request.name}": Callable[[{params}], Awaitable[{result} | Plain]],')
    return "\n".join(
        [
            '"""Handlers of what the engine asks: coroutine functions from the params to the result.',
            "",
            f'{NOTE}\n"""',
            "",
            *imports.lines(),
            'HostHandlers = TypedDict("HostHandlers", {',
            *entries,
            "}, total=False)",
            '"""By the request\'s name. Hello declares them; the engine asks for nothing else."""',
        ]
    )
