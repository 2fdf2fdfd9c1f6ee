"""From the registry's Structs to the schema. Whatever the schema has no word for is an error here."""

import functools
import inspect
import operator
import sys
from types import ModuleType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from sidecar_generator import schema
from sidecar_generator.schema import Field, TypeRef
from sidecar_generator.source_docs import source_docs
from sidecar_protocol import base, handshake, methods
from sidecar_protocol.base import Event
from sidecar_protocol.capabilities import CAPABILITIES
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ERROR_CODES, ErrorBody
from sidecar_protocol.limits import LIMITS
from sidecar_protocol.registry import COMMON_ERRORS, Method, Notification
from sidecar_protocol.version import PROTOCOL_VERSION

MESSAGES: tuple[type[msgspec.Struct], ...] = (
    Header,
    ErrorBody,
    handshake.Hello,
    handshake.Welcome,
    handshake.Bye,
    handshake.SpawnLine,
    handshake.ReadyLine,
    handshake.StartError,
    handshake.ConnectionFile,
)
_SCALARS: dict[object, schema.TypeKind] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    bytes: "bytes",
    object: "json",
    Any: "json",
}


class NotInTheModel(TypeError):
    """A declaration that the schema has no word for; the message says which and what would do."""


def extract() -> schema.Schema:
    """The schema of the registry as it stands."""
    return Extractor().everything()


class Extractor:
    """Collects types as methods refer to them."""

    def __init__(self) -> None:
        self.types: dict[str, schema.Type] = {}
        self._classes: dict[str, type] = {}

    def everything(self) -> schema.Schema:
        """Everything that is registered, and the messages outside of any method."""
        messages = [self.struct(message) for message in MESSAGES]
        host_to_engine = [self._method(method) for method in methods.METHODS.values()]
        host_requests = [self._method(method) for method in methods.HOST_REQUESTS.values()]
        notifications = [self._notification(item) for item in methods.NOTIFICATIONS.values()]
        names = dict.fromkeys(name.partition(".")[0] for name in methods.METHODS)
        return schema.Schema(
            protocol=PROTOCOL_VERSION,
            namespaces=[schema.Namespace(name=name, doc=_namespace_doc(name)) for name in sorted(names)],
            methods=sorted(host_to_engine, key=lambda method: method.name.partition(".")[0]),
            host_requests=host_requests,
            notifications=notifications,
            capabilities=[
                schema.Capability(name=name, doc=capability.doc, extra=capability.extra)
                for name, capability in sorted(CAPABILITIES.items())
            ],
            errors=list(ERROR_CODES),
            common_errors=list(COMMON_ERRORS),
            limits=msgspec.to_builtins(LIMITS),
            message_kinds=[kind.value for kind in Kind],
            messages=messages,
            types=dict(sorted(self.types.items())),
        )

    def struct(self, kind: type[msgspec.Struct]) -> str:
        """Adds a struct with all it refers to; gives its name."""
        name = kind.__name__
        if self._classes.setdefault(name, kind) is not kind:
            other = self._classes[name].__module__
            raise NotInTheModel(f"{name} is declared in {kind.__module__} and in {other}; names are unique")
        if name in self.types:
            return name
        config = kind.__struct_config__
        shell = schema.StructType(name=name, module=_module_name(kind), doc="", fields=[])
        self.types[name] = shell
        extends = self._public_base(kind)
        self.types[name] = msgspec.structs.replace(
            shell,
            doc=inspect.cleandoc(kind.__doc__ or ""),
            fields=self._fields(kind),
            extends=extends,
            tag_field=config.tag_field,
            tag=config.tag if config.tag_field is not None else None,
            coalesce=kind.coalesce.value if issubclass(kind, Event) else None,
        )
        return name

    def ref(self, hint: Any, owner: ModuleType, where: str) -> TypeRef:
        """A use of a type. Raises NotInTheModel for what the schema has no word for."""
        metas, plain = _without_metas(hint)
        if plain in _SCALARS and any("values" in (meta.extra or {}) for meta in metas):
            return TypeRef(kind="ref", name=self._open_enum(hint, owner, where))
        arms = _arms(plain)
        nullable = type(None) in arms
        arms = tuple(arm for arm in arms if arm is not type(None))
        ref = self._one_ref(arms[0], owner, where) if len(arms) == 1 else self._union_ref(arms, owner, where)
        constraints = {key: value for meta in metas for key, value in _constraints(meta).items()}
        return msgspec.structs.replace(ref, nullable=nullable or ref.nullable, **constraints)

    def _one_ref(self, hint: Any, owner: ModuleType, where: str) -> TypeRef:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self.ref(hint, owner, where)
        if hint in _SCALARS:
            return TypeRef(kind=_SCALARS[hint])
        if origin is list:
            return TypeRef(kind="list", item=self.ref(arguments[0], owner, where))
        if origin is dict:
            key = self.ref(arguments[0], owner, where)
            constrained = key if key != TypeRef(kind="string") else None
            return TypeRef(kind="map", key=constrained, item=self.ref(arguments[1], owner, where))
        if origin is Literal:
            return self._literal(hint, arguments, owner, where)
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            return TypeRef(kind="ref", name=self.struct(hint))
        raise NotInTheModel(f"{where}: {hint!r} is no type of the schema")

    def _literal(self, hint: Any, values: tuple[object, ...], owner: ModuleType, where: str) -> TypeRef:
        strings = [value for value in values if isinstance(value, str)]
        if len(strings) != len(values):
            raise NotInTheModel(f"{where}: {hint!r} holds what is no string")
        if len(strings) == 1:
            return TypeRef(kind="constant", value=strings[0])
        name, module = _alias(hint, owner, where)
        self._add(schema.Enum(name=name, module=_short(module), doc=_alias_doc(module, name), values=strings))
        return TypeRef(kind="ref", name=name)

    def _open_enum(self, hint: Any, owner: ModuleType, where: str) -> str:
        metas, _ = _without_metas(hint)
        values = next(meta.extra["values"] for meta in metas if meta.extra and "values" in meta.extra)
        name, module = _alias(hint, owner, where)
        self._add(
            schema.Enum(
                name=name,
                module=_short(module),
                doc=_alias_doc(module, name),
                values=list(values),
                open=True,
            )
        )
        return name

    def _union_ref(self, arms: tuple[Any, ...], owner: ModuleType, where: str) -> TypeRef:
        union = functools.reduce(operator.or_, arms)
        name, module = _alias(union, owner, where)
        structs = tuple(arm for arm in arms if isinstance(arm, type) and issubclass(arm, msgspec.Struct))
        others = tuple(arm for arm in arms if arm not in structs)
        doc = _alias_doc(module, name)
        if not others:
            self._add(self._tagged_union(name, module, doc, structs, where))
            return TypeRef(kind="ref", name=name)
        variants = [self.ref(arm, module, where) for arm in others]
        if len(structs) == 1:
            variants.append(self._one_ref(structs[0], module, where))
        elif structs:
            variants.append(self._union_ref(structs, module, where))
        _check_kinds(variants, self.types, where)
        self._add(schema.KindUnion(name=name, module=_short(module), doc=doc, variants=variants))
        return TypeRef(kind="ref", name=name)

    def _tagged_union(
        self, name: str, module: ModuleType, doc: str, structs: tuple[type[msgspec.Struct], ...], where: str
    ) -> schema.TaggedUnion:
        fields = {struct.__struct_config__.tag_field for struct in structs}
        tags = [struct.__struct_config__.tag for struct in structs]
        (field,) = fields if len(fields) == 1 else (None,)
        if field is None or len(set(tags)) != len(tags):
            raise NotInTheModel(f"{where}: the structs of {name} are not told apart by one field")
        variants = [
            schema.Variant(tag=str(tag), type=self.struct(struct))
            for tag, struct in zip(tags, structs, strict=True)
        ]
        return schema.TaggedUnion(
            name=name, module=_short(module), doc=doc, tag_field=field, variants=variants
        )

    def _fields(self, kind: type[msgspec.Struct]) -> list[Field]:
        hints = get_type_hints(kind, include_extras=True)
        return [
            self._field(kind, info, hints[info.name])
            for info in msgspec.structs.fields(kind)
            if get_origin(hints[info.name]) is not ClassVar
        ]

    def _field(self, kind: type[msgspec.Struct], info: msgspec.structs.FieldInfo, hint: Any) -> Field:
        declaring = next(
            ancestor for ancestor in kind.__mro__ if info.name in vars(ancestor).get("__annotations__", ())
        )
        module = sys.modules[declaring.__module__]
        where = f"{kind.__name__}.{info.encode_name}"
        metas, _ = _without_metas(hint)
        extras = (meta.extra or {} for meta in metas)
        capability = next((extra["capability"] for extra in extras if "capability" in extra), None)
        ref = self.ref(hint, module, where)
        doc = source_docs(module).fields.get((declaring.__name__, info.name), "")
        if info.required:
            return Field(name=info.encode_name, type=ref, doc=doc, required=True, capability=capability)
        default = info.default if info.default is not msgspec.NODEFAULT else info.default_factory()
        return Field(name=info.encode_name, type=ref, doc=doc, default=default, capability=capability)

    def _public_base(self, kind: type[msgspec.Struct]) -> str | None:
        """The base whose fields it begins with; private bases and the roots are folded in."""
        parent = kind.__base__
        if parent is None or parent is msgspec.Struct or not issubclass(parent, msgspec.Struct):
            return None
        if parent.__module__ == base.__name__ or not parent.__struct_fields__:
            return None
        return self._public_base(parent) if parent.__name__.startswith("_") else self.struct(parent)

    def _method(self, method: Method) -> schema.Method:
        where = f"events of {method.name}"
        events = None
        if method.event_union is not None:
            module = sys.modules[method.params.__module__]
            events = self.ref(method.event_union, module, where).name
        return schema.Method(
            name=method.name,
            direction=method.direction.value,
            doc=method.doc,
            params=self.struct(method.params),
            result=self.struct(method.result),
            events=events,
            errors=list(method.errors),
            idempotent=method.idempotent,
            cancellable=method.cancellable,
            capability=method.capability,
            debug_only=method.debug_only,
            since=method.since,
            deprecated=method.deprecated,
        )

    def _notification(self, item: Notification) -> schema.Notification:
        params = self.struct(item.params)
        return schema.Notification(name=item.name, doc=item.doc, params=params, since=item.since)

    def _add(self, kind: schema.Type) -> None:
        known = self.types.setdefault(kind.name, kind)
        if known != kind:
            raise NotInTheModel(f"{kind.name} is declared twice: in {known.module} and in {kind.module}")


def _without_metas(hint: Any) -> tuple[list[msgspec.Meta], Any]:
    if get_origin(hint) is not Annotated:
        return [], hint
    return [meta for meta in hint.__metadata__ if isinstance(meta, msgspec.Meta)], hint.__origin__


def _arms(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _constraints(meta: msgspec.Meta) -> dict[str, Any]:
    named = {
        "minimum": meta.ge,
        "maximum": meta.le,
        "exclusive_minimum": meta.gt,
        "exclusive_maximum": meta.lt,
        "min_length": meta.min_length,
        "max_length": meta.max_length,
        "pattern": meta.pattern,
    }
    return {name: value for name, value in named.items() if value is not None}


def _alias(hint: Any, owner: ModuleType, where: str) -> tuple[str, ModuleType]:
    """The name that the module gives a union or an enum or imports for it, and the module that gives it."""
    public = ((name, value) for name, value in vars(owner).items() if not name.startswith("_"))
    names = [name for name, value in public if _same(value, hint)]
    if len(names) > 1:
        raise NotInTheModel(f"{where}: {names} are the same type; give it one name")
    if not names:
        raise NotInTheModel(f"{where}: {hint!r} has no name; assign it to one in its module")
    return names[0], _defining_module(names[0], owner, hint)


def _same(value: object, hint: object) -> bool:
    origins = (Union, UnionType, Literal, Annotated)
    return get_origin(value) in origins and bool(value == hint)


def _defining_module(name: str, module: ModuleType, hint: Any) -> ModuleType:
    """Where the name is assigned, which may be elsewhere than where it was found."""
    for candidate in [module, *_protocol_modules()]:
        if _same(vars(candidate).get(name), hint) and _is_assigned(name, candidate):
            return candidate
    return module


def _is_assigned(name: str, module: ModuleType) -> bool:
    lines = inspect.getsource(module).splitlines()
    return any(line.startswith(f"{name} = ") for line in lines)


def _protocol_modules() -> list[ModuleType]:
    prefix = "sidecar_protocol."
    return [module for name, module in sorted(sys.modules.items()) if name.startswith(prefix)]


def _alias_doc(module: ModuleType, name: str) -> str:
    return source_docs(module).names.get(name, "")


def _module_name(kind: type) -> str:
    return _short(sys.modules[kind.__module__])


def _short(module: ModuleType) -> str:
    return module.__name__.removeprefix("sidecar_protocol.")


def _namespace_doc(name: str) -> str:
    """What the namespace's module says of itself, without the name it begins with."""
    first = (vars(methods)[name].__doc__ or "").strip().split("\n\n")[0]
    return first.partition(": ")[2].replace("\n", " ")


def _check_kinds(variants: list[TypeRef], types: dict[str, schema.Type], where: str) -> None:
    kinds = [_json_kind(variant, types) for variant in variants]
    if len(set(kinds)) != len(kinds):
        raise NotInTheModel(f"{where}: a union of {kinds} cannot be told apart by the kind of value")


def _json_kind(ref: TypeRef, types: dict[str, schema.Type]) -> str:
    if ref.kind == "ref" and ref.name is not None:
        return "string" if isinstance(types[ref.name], schema.Enum) else "map"
    return {"constant": "string", "integer": "number"}.get(ref.kind, ref.kind)
