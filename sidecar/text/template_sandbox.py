"""Jinja2 as transformers configures it for chat templates, with every operation metered.

The environment is jinja's immutable sandbox. What the sandbox lets through
unwatched (loops, `~`, slices, output) is put behind internal filters when a
template is compiled; operators, calls and filters are intercepted. See
`template_meter` for what is charged.
"""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sized
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import Environment, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.utils import Namespace, _PassArg, pass_context

from sidecar.text.template_meter import CURRENT_METER, beyond_limit

MAX_ARGUMENT = 100_000
"""The largest number a filter or a string method takes as a width or a count."""
_MAX_INDENT = 16
_ITERATE, _JOIN, _WEIGH, _CHARGE = "\0iterate", "\0join", "\0weigh", "\0charge"
_LEFT_OUT_FILTERS = ("pprint", "striptags", "urlize", "wordwrap", "xmlattr")
"""Filters for HTML pages whose cost cannot be told beforehand."""
_WIDTH_METHODS = frozenset(["center", "ljust", "rjust", "zfill"])
_FORBIDDEN_METHODS = frozenset(["encode", "translate", "to_bytes", "from_bytes"])


class TemplateRefusal(TemplateError):
    """What a template's own `raise_exception` says."""


class MeteredEnvironment(ImmutableSandboxedEnvironment):
    """Where chat templates are compiled and rendered; to render, CURRENT_METER must be set."""

    intercepted_binops = frozenset(["//", "%", "+", "*", "-", "/", "**"])

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, loopcontrols])
        del self.globals["lipsum"]
        self.globals.update(
            raise_exception=_raise_exception,
            strftime_now=_strftime_now,
            dict=_TemplateDict(),
            namespace=_TemplateNamespace,
        )
        self.filters["tojson"] = _to_json
        for name in _LEFT_OUT_FILTERS:
            del self.filters[name]
        self.filters = {name: _metered_filter(name, function) for name, function in self.filters.items()}
        self.tests = {name: _metered_test(function) for name, function in self.tests.items()}
        self.filters |= {_ITERATE: _iterate, _JOIN: _join, _WEIGH: _weigh, _CHARGE: _charge}

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        _instrumented(source).set_environment(self)
        return super()._generate(source, name, filename, defer_init)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operator, charged; the growing ones are judged before they run."""
        meter = CURRENT_METER.get()
        meter.step()
        if operator == "*":
            meter.multiplication(left, right)
        elif operator == "**":
            meter.power(left, right)
        elif operator == "%" and isinstance(left, str):
            meter.printf(left, right)
        result = super().call_binop(context, operator, left, right)
        meter.made(result)
        return result

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A call, charged; string methods that grow are judged before they run."""
        meter = CURRENT_METER.get()
        meter.step()
        owner = getattr(function, "__self__", None)
        if isinstance(owner, list | tuple):
            meter.written(owner)
        elif isinstance(owner, str):
            args = _judge_method(owner, function.__name__, args, kwargs)
        result = super().call(context, function, *args, **kwargs)
        meter.made(result)
        return result

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """No method that makes bytes or goes through a table."""
        if attr in _FORBIDDEN_METHODS and isinstance(obj, str | int):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`str.format` and `str.format_map`, metered."""
        if super().wrap_str_format(value) is None:
            return None
        text: str = value.__self__
        is_format_map = value.__name__ == "format_map"

        def metered_format(*args: Any, **kwargs: Any) -> str:
            if is_format_map:
                [kwargs], args = args, ()
            return type(text)(_MeteredFormatter(self).vformat(text, args, kwargs))

        return functools.update_wrapper(metered_format, value)


class GenerationTag(Extension):
    """`{% generation %}` marks what an assistant said, for training; here its body is simply shown."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        """The body, in a scope of its own."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("show"), [], [], body).set_lineno(line)

    def show(self, caller: Macro) -> str:
        """The body's text."""
        return caller()


def _instrumented(node: nodes.Node) -> nodes.Node:
    """The same tree with what the sandbox does not intercept behind internal filters."""
    for name, value in list(node.iter_fields()):
        if isinstance(value, nodes.Node):
            setattr(node, name, _instrumented(value))
        elif isinstance(value, list):
            value[:] = [_instrumented(item) if isinstance(item, nodes.Node) else item for item in value]
    if isinstance(node, nodes.For):
        node.iter = _filtered(node.iter, _ITERATE)
    elif isinstance(node, nodes.Output):
        node.nodes = [_filtered(child, _WEIGH) for child in node.nodes]
    elif isinstance(node, nodes.Compare | nodes.Operand):
        node.expr = _filtered(node.expr, _WEIGH)
    elif isinstance(node, nodes.Concat):
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), _JOIN)
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        return _filtered(node, _CHARGE)
    return node


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    """A node behind a filter whose name no template can write."""
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class _MeteredIterable:
    """An iterable whose every value is a step; it has a length where the original has one."""

    def __init__(self, values: Iterable[object]) -> None:
        self._values = values

    def __iter__(self) -> Iterator[object]:
        return CURRENT_METER.get().iterate(self._values)

    def __len__(self) -> int:
        if not isinstance(self._values, Sized):
            raise TypeError("its length is not known")
        return len(self._values)


@pass_context
def _iterate(_context: Context, values: Iterable[object]) -> _MeteredIterable:
    return _MeteredIterable(values)


@pass_context
def _join(context: Context, values: list[object]) -> str:
    meter = CURRENT_METER.get()
    meter.step()
    meter.spend(meter.written(values))
    return markup_join(values) if context.eval_ctx.autoescape else str_join(values)


@pass_context
def _weigh(_context: Context, value: object) -> object:
    meter = CURRENT_METER.get()
    meter.spend(meter.written(value))
    return value


@pass_context
def _charge(_context: Context, value: object) -> object:
    CURRENT_METER.get().made(value)
    return value


def _metered_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    wants = _PassArg.from_obj(function)

    @pass_context
    def metered(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        meter = CURRENT_METER.get()
        meter.step()
        _judge_arguments(args, kwargs)
        if isinstance(value, Iterator):
            value = list(meter.iterate(value))
        _judge_filter(name, value, args, kwargs)
        first = {
            _PassArg.context: context,
            _PassArg.eval_context: context.eval_ctx,
            _PassArg.environment: context.environment,
        }
        passed = (first[wants], value) if wants is not None else (value,)
        result = function(*passed, *args, **kwargs)
        meter.made(result)
        return result

    return metered


def _metered_test(function: Any) -> Callable[..., Any]:
    wants = _PassArg.from_obj(function)

    @pass_context
    def metered(context: Context, *args: Any, **kwargs: Any) -> Any:
        meter = CURRENT_METER.get()
        meter.step()
        meter.spend(meter.written(args))
        passed = (context.environment,) if wants is _PassArg.environment else ()
        return function(*passed, *args, **kwargs)

    return metered


def _judge_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for argument in (*args, *kwargs.values()):
        if isinstance(argument, int) and abs(argument) > MAX_ARGUMENT:
            raise beyond_limit(f"passes a number above {MAX_ARGUMENT} to a filter or a string method")


def _judge_filter(name: str, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse a filter whose result would be too large, or whose work would be."""
    meter = CURRENT_METER.get()
    size = meter.written(value)
    texts = [argument for argument in (*args, *kwargs.values()) if isinstance(argument, str)]
    longest = max(map(len, texts), default=0)
    if name == "join":
        meter.predict(size + longest * (len(value) if isinstance(value, Sized) else 0))
    elif name == "format":
        meter.printf(str(value), kwargs or args)
    elif name == "indent":
        widths = [argument for argument in (*args, *kwargs.values()) if type(argument) is int]
        meter.predict(size + max(longest, 4, *widths) * len(str(value).splitlines()))
    elif name == "replace":
        meter.predict(size + longest * (size + 1) if kwargs else size)
        meter.replacement(str(value), *map(str, args[:2]))
    elif name == "round" and any(isinstance(number, int) and abs(number) > 400 for number in args):
        raise beyond_limit("rounds to more than 400 digits")
    elif name == "sum" and not isinstance(kwargs.get("start", (*args, 0, 0)[1]), int | float):
        raise beyond_limit("sums up something else than numbers")


def _judge_method(text: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Refuse a string method whose result would be too large; gives the arguments to call it with."""
    meter = CURRENT_METER.get()
    if name == "join" and args and not isinstance(args[0], str):
        items = list(meter.iterate(args[0]))
        meter.predict(meter.written(items) + len(text) * len(items))
        return (items, *args[1:])
    if name == "join" and args:
        meter.predict(len(args[0]) * (1 + len(text)))
    elif name == "replace" and len(args) > 1:
        meter.replacement(text, args[0], args[1])
    elif name == "expandtabs":
        _judge_arguments(args, kwargs)
        width = next((n for n in (*args, *kwargs.values()) if isinstance(n, int)), 8)
        meter.predict(len(text) + text.count("\t") * width)
    elif name in _WIDTH_METHODS:
        _judge_arguments(args, kwargs)
    return args


class _MeteredFormatter(SandboxedFormatter):
    def format_field(self, value: Any, format_spec: str) -> Any:
        meter = CURRENT_METER.get()
        meter.step()
        meter.format_field(value, format_spec)
        result = super().format_field(value, format_spec)
        meter.made(result)
        return result

    def convert_field(self, value: Any, conversion: Any) -> Any:
        if conversion is not None:
            CURRENT_METER.get().written(value)
        return super().convert_field(value, conversion)


def _raise_exception(message: object) -> NoReturn:
    raise TemplateRefusal(str(message))


def _strftime_now(format_: str) -> str:
    if len(format_) > 256:
        raise beyond_limit("asks for a date of more than 256 characters")
    return datetime.now().strftime(format_)


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON without HTML escapes, as transformers gives it."""
    meter = CURRENT_METER.get()
    meter.written(value)
    if (indent is not None and (indent if isinstance(indent, int) else len(indent)) > _MAX_INDENT) or (
        separators is not None and any(len(separator) > _MAX_INDENT for separator in separators)
    ):
        raise beyond_limit(f"indents JSON by more than {_MAX_INDENT}")
    encoder = json.JSONEncoder(
        ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
    if indent is None:
        return encoder.encode(value)
    parts = []
    for part in encoder.iterencode(value):
        meter.spend(len(part))
        parts.append(part)
    return "".join(parts)


class _TemplateDict:
    """`dict`, without the class's own attributes."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args, **kwargs)


class _TemplateNamespace(Namespace):
    """`namespace`, refusing names that begin with an underscore; its content is not written out."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *rest = args
        attributes = dict(*rest, **kwargs)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        Namespace.__setitem__(self, name, value)

    def __repr__(self) -> str:
        return "<Namespace>"


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a chat template may not name an attribute {name!r}")
