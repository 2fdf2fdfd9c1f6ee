"""parameters.py: the keyword arguments of each method, as a TypedDict."""

from sidecar_generator.emit.python.calls import Call, methods_in
from sidecar_generator.emit.python.source import NOTE, PYTHON_TYPES, Imports
from sidecar_generator.schema import Enum, KindUnion, Schema, StructType, TaggedUnion, TypeRef
from sidecar_generator.text import docstring

ARGUMENT_NAMES = {"ChatMessage": "Message"}
"""What may be given for a type, where that has a name of its own."""


def parameters(schema: Schema, names: list[str]) -> str:
    """The file's text, not yet in form."""
    imports = Imports(schema)
    imports.add("typing", "TypedDict")
    written: dict[str, list[str]] = {}
    for method in methods_in(schema, names):
        call = Call.of(schema, method)
        if call.keywords is not None:
            _typed_dict(
                schema, schema.struct(method.params), call.keywords, f"{method.name}.", imports, written
            )
    return "\n".join(
        [
            '"""Keyword arguments of the typed methods; what is left out takes the engine\'s default.',
            "",
            f'{NOTE}\n"""',
            "",
            *imports.lines(),
            "Plain = Mapping[str, object]",
            '"""Plain objects, in the form the protocol gives them."""',
            *(f"{name} = {kind} | Plain" for kind, name in ARGUMENT_NAMES.items()),
            *(line for lines in written.values() for line in ["", "", *lines]),
        ]
    )


def _typed_dict(
    schema: Schema, struct: StructType, name: str, doc: str, imports: Imports, written: dict[str, list[str]]
) -> None:
    base = "TypedDict"
    inherited: set[str] = set()
    if struct.extends is not None:
        parent = schema.struct(struct.extends)
        inherited = {item.name for item in parent.fields}
        if inherited - {"stream"}:
            base = f"{parent.name.removesuffix('Params')}Parameters"
            if base not in written:
                _typed_dict(schema, parent, base, parent.doc, imports, written)
    lines = [f"class {name}({base}, total=False):", docstring(doc, 4), ""]
    for item in struct.fields:
        if item.name in inherited or item.name == "stream":
            continue
        annotation = _argument_type(schema, item.type, imports)
        if item.required:
            imports.add("typing", "Required")
            annotation = f"Required[{annotation}]"
        lines.append(f"    {item.name}: {annotation}")
    imports.add("collections.abc", "Mapping")
    written[name] = lines


def _argument_type(schema: Schema, ref: TypeRef, imports: Imports) -> str:
    """What a caller may give: types of the protocol, or plain objects in their place."""
    arms = _argument_arms(schema, ref, imports)
    return " | ".join(dict.fromkeys([*arms, "None"] if ref.nullable else arms))


def _argument_arms(schema: Schema, ref: TypeRef, imports: Imports) -> list[str]:
    match ref.kind:
        case "list" if ref.item is not None:
            imports.add("collections.abc", "Sequence")
            return [f"Sequence[{_argument_type(schema, ref.item, imports)}]"]
        case "map" if ref.item is not None:
            item = _argument_type(schema, ref.item, imports)
            return ["Plain"] if item == "object" else [f"Mapping[str, {item}]"]
        case "constant":
            imports.add("typing", "Literal")
            return [f'Literal["{ref.value}"]']
        case "ref" if ref.name is not None:
            return _named_arms(schema, ref.name, imports)
        case _:
            return [PYTHON_TYPES[ref.kind]]


def _named_arms(schema: Schema, name: str, imports: Imports) -> list[str]:
    match schema.types[name]:
        case _ if name in ARGUMENT_NAMES:
            imports.protocol(name)
            return [ARGUMENT_NAMES[name]]
        case StructType() | TaggedUnion():
            return [imports.protocol(name), "Plain"]
        case Enum(open=True):
            return ["str"]
        case Enum():
            return [imports.protocol(name)]
        case KindUnion(variants=variants):
            return [arm for variant in variants for arm in _argument_arms(schema, variant, imports)]
