"""How a method looks in Python: its name, what it takes by position, what by keyword."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sidecar_generator.emit.python.source import PYTHON_TYPES, Imports
from sidecar_generator.schema import Field, Method, Schema
from sidecar_generator.text import docstring, pascal

STREAM_CLASSES = {"chat.create": "ChatStream", "generate.create": "GenerateStream"}
"""Methods whose stream can do more than give events and a result."""
MAX_POSITIONAL = 2
"""A method that takes only required arguments, and no more than these, takes them by position too."""
STREAM_DOC = "The engine is at most `credit` events ahead of the reader."


@dataclass(frozen=True, slots=True)
class Call:
    """How a method looks in Python."""

    method: Method
    name: str
    keywords: str | None
    """The TypedDict of its keyword arguments."""
    positional: list[Field] = field(default_factory=list)

    @classmethod
    def of(cls, schema: Schema, method: Method) -> "Call":
        """By the method's params: few and all required are arguments of their own."""
        namespace, _, verb = method.name.partition(".")
        fields = [item for item in schema.struct(method.params).fields if item.name != "stream"]
        if len(fields) <= MAX_POSITIONAL and all(_is_plain(item) for item in fields):
            return cls(method, verb, None, fields)
        name = pascal(namespace if verb == "create" else method.name)
        return cls(method, verb, f"{name}Parameters")

    @property
    def stream_name(self) -> str:
        """What its streaming twin is called."""
        return "stream" if self.name == "create" else f"{self.name}_stream"


def _is_plain(item: Field) -> bool:
    return item.required and item.type.kind in PYTHON_TYPES


def methods_in(schema: Schema, namespaces: Iterable[str]) -> Iterator[Method]:
    """Methods of several namespaces."""
    for namespace in namespaces:
        yield from schema.methods_of(namespace)


def signature(call: Call, imports: Imports, *, streams: bool = False) -> str:
    """The parameters of a method, or of its streaming twin."""
    parts = ["self", *(f"{item.name}: {PYTHON_TYPES[item.type.kind]}" for item in call.positional)]
    named = []
    if streams:
        imports.add("sidecar_protocol.limits", "DEFAULT_CREDIT")
        named.append("credit: int = DEFAULT_CREDIT")
    if call.method.cancellable:
        named.append("deadline_seconds: float | None = None")
    if named:
        parts += ["*", *named]
    if call.keywords is not None:
        imports.add("typing", "Unpack")
        parts.append(f"**params: Unpack[{imports.add('sidecar_client.parameters', call.keywords)}]")
    return ", ".join(parts)


def params_expression(call: Call) -> str | None:
    """What is sent; None for nothing."""
    if call.keywords is not None:
        return "params"
    if not call.positional:
        return None
    return "{" + ", ".join(f'"{item.name}": {item.name}' for item in call.positional) + "}"


def class_head(schema: Schema, namespace: str, name: str) -> list[str]:
    """How a namespace's class begins."""
    doc = next(item.doc for item in schema.namespaces if item.name == namespace)
    return [f"class {name}:", docstring(f"{namespace}.*: {doc}", 4), ""]


def holder_of_all(namespaces: list[str], argument: str, passed: str, prefix: str) -> list[str]:
    """The class that holds one of each; the engine is one."""
    return [
        f"class {prefix}Namespaces:",
        '    """Every namespace, as an attribute."""',
        "",
        f"    def __init__(self, {argument}) -> None:",
        *(f"        self.{name} = {prefix}{pascal(name)}({passed})" for name in namespaces),
    ]
