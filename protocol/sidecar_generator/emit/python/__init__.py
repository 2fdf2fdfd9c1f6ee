"""The generated parts of the Python client: keyword arguments, and a typed call for every method.

The types themselves are sidecar_protocol's own; nothing of them is written again.
"""

from sidecar_generator.emit.python.arguments import parameters
from sidecar_generator.emit.python.namespaces import namespaces
from sidecar_generator.emit.python.source import CLIENT, formatted
from sidecar_generator.emit.python.sync_namespaces import sync_namespaces
from sidecar_generator.schema import Schema

ON_THE_ENGINE_ITSELF = frozenset({"engine"})
"""Namespaces whose methods are the Engine's own, written by hand."""


def emit(schema: Schema) -> dict[str, str]:
    """parameters.py, namespaces.py and sync_namespaces.py."""
    names = [item.name for item in schema.namespaces if item.name not in ON_THE_ENGINE_ITSELF]
    return {
        f"{CLIENT}/parameters.py": formatted(parameters(schema, names)),
        f"{CLIENT}/namespaces.py": formatted(namespaces(schema, names)),
        f"{CLIENT}/sync_namespaces.py": formatted(sync_namespaces(schema, names)),
    }
