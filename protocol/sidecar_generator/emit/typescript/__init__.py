"""The generated parts of the TypeScript client: the protocol's types, and a typed call for every method."""

from collections.abc import Iterable

from sidecar_generator.emit.typescript.calls import namespaces
from sidecar_generator.emit.typescript.methods import methods
from sidecar_generator.emit.typescript.text import SUPPORT, file_name, joined
from sidecar_generator.emit.typescript.types import Types
from sidecar_generator.schema import Schema, Type

CLIENT = "clients/typescript/src"
WRITTEN_BY_HAND = frozenset({"envelope"})
"""Modules of types that no caller ever sees."""


def emit(schema: Schema) -> dict[str, str]:
    """A file of types for each module of the protocol, methods.ts and namespaces.ts."""
    modules: dict[str, list[Type]] = {}
    for kind in schema.types.values():
        if kind.module not in WRITTEN_BY_HAND:
            modules.setdefault(kind.module, []).append(kind)
    types = Types(schema)
    return {
        **{f"{CLIENT}/types/{file_name(name)}.ts": types.module(name, modules[name]) for name in modules},
        f"{CLIENT}/types/index.ts": _index(modules),
        f"{CLIENT}/types/methods.ts": methods(schema),
        f"{CLIENT}/namespaces.ts": namespaces(schema),
    }


def _index(modules: Iterable[str]) -> str:
    names = sorted([*(file_name(name) for name in modules), "methods", SUPPORT])
    exports = "\n".join(f'export type * from "./{name}.js";' for name in names)
    return joined(["/** The protocol's types. */", exports])
