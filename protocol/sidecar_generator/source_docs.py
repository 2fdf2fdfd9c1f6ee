"""Docs of fields and of named types: the string below each in the source, which Python itself forgets."""

import ast
import inspect
import itertools
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType


@dataclass(frozen=True, slots=True)
class SourceDocs:
    """Docs of one module."""

    fields: dict[tuple[str, str], str] = field(default_factory=dict)
    """By class and attribute."""
    names: dict[str, str] = field(default_factory=dict)
    """By name in the module."""


@cache
def source_docs(module: ModuleType) -> SourceDocs:
    """What the strings below a module's assignments say."""
    docs = SourceDocs()
    tree = ast.parse(inspect.getsource(module))
    for name, doc in _documented(tree.body):
        docs.names[name] = doc
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for name, doc in _documented(node.body):
                docs.fields[node.name, name] = doc
    return docs


def _documented(body: list[ast.stmt]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for statement, below in itertools.pairwise(body):
        name = _assigned_name(statement)
        if (
            name is not None
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            found.append((name, inspect.cleandoc(below.value.value)))
    return found


def _assigned_name(statement: ast.stmt) -> str | None:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case _:
            return None
