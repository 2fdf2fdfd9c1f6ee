"""The generated parts of the Python client: arguments, a typed call for every method, types of handlers.

The types themselves are sidecar_protocol's own; nothing of them is written again.
"""

from sidecar_generator.emit.python.arguments import parameters
from sidecar_generator.emit.python.host_handlers import host_handlers
from sidecar_generator.emit.python.namespaces import namespaces
from sidecar_generator.emit.python.source import CLIENT, formatted
from sidecar_generator.emit.python.sync_namespaces import sync_namespaces
from sidecar_generator.schema import Schema

ON_THE_ENGINE_ITSELF = frozenset({"engine"})
"""Namespaces whose methods are the Engine's own, written by hand."""


def emit(schema: Schema) -> dict[str, str]:
    """host_handlers.py, namespaces.py, parameters.py and sync_namespaces.py."""
    names = [item.name for item in schema.namespaces if item.name not in ON_THE_ENGINE_ITSELF]
    return {
        f"{CLIENT}/host_handlers.py": formatted(host_handlers(schema)),
        f"{CLIENT}/namespaces.py": formatted(namespaces(schema, names)),
        f"{CLIENT}/parameters.py": formatted(parameters(schema, names)),
        f"{CLIENT}/sync_namespaces.py": formatted(sync_namespaces(schema, names)),
    }
