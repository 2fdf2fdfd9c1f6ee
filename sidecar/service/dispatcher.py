"""Method name and plain objects in, a result or an error body out.

It is not aware of any transport, nor of what the methods do. It is one of the
three boundaries that may catch everything: whatever a handler raises becomes
an error on the wire, and the process goes on.
"""

import asyncio
import difflib
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import cache
from typing import Any

import msgspec

from sidecar.errors import (
    InternalError,
    InvalidParams,
    MethodNotFound,
    SidecarError,
    Unauthorized,
    Unsupported,
)
from sidecar.service.context import RequestContext
from sidecar_protocol.base import HostParams, Params, Result
from sidecar_protocol.capabilities import CAPABILITIES
from sidecar_protocol.codec import is_closed
from sidecar_protocol.errors import ErrorBody
from sidecar_protocol.json_values import binary_value
from sidecar_protocol.registry import METHODS, Method, find_method
from sidecar_protocol.unknown_fields import UnknownField, dropped_field, unknown_field

logger = logging.getLogger(__name__)

Handler = Callable[[Any, RequestContext], Awaitable[Result]]

_QUOTED_CHARACTERS = 300
"""Of what a host sent, in the error about it."""
_PLACE = re.compile(r"(.*) - at (`key` in )?`\$(.*)`", re.DOTALL)
"""How msgspec says what is wrong and where."""


class Dispatcher:
    """Validates a request, runs its handler and turns whatever it raises into an error body.

    `capabilities` are those the handlers have beyond whole methods: fields of
    params are unsupported without them.
    """

    def __init__(self, handlers: Mapping[str, Handler], capabilities: Collection[str] = ()) -> None:
        undeclared = [name for name in handlers if find_method(name) is None]
        undeclared += [name for name in capabilities if name not in CAPABILITIES]
        if undeclared:
            raise ValueError(f"the protocol does not declare {sorted(undeclared)}")
        self._handlers = dict(handlers)
        of_methods = {METHODS[name].capability for name in handlers} - {None}
        self._capabilities = frozenset({*capabilities, *filter(None, of_methods)})

    @property
    def capabilities(self) -> list[str]:
        """What `welcome` says this engine can do beyond its core, sorted."""
        return sorted(self._capabilities)

    def methods(self, *, debug: bool) -> list[str]:
        """Names of the methods that a connection may call, sorted."""
        return sorted(name for name in self._handlers if debug or not METHODS[name].debug_only)

    async def dispatch(self, name: str, params: object, context: RequestContext) -> Result | ErrorBody:
        """Run one request to its end. Raises CancelledError alone, when nobody called `context.end`."""
        try:
            method = self._find(name, context)
            checked = validate_params(method, params)
            self._refuse_unsupported_fields(checked)
            if method.streams and getattr(checked, "stream", False):
                context.open_stream()
            return await self._handlers[name](checked, context)
        except asyncio.CancelledError:
            if context.end_reason is None:
                raise
            partial = context.partial() if context.partial is not None else None
            body = error_body(context.end_reason, partial)
            if context.unfinished_tools:
                body.data["unfinished_tools"] = context.unfinished_tools
            return body
        except SidecarError as error:
            return error_body(error)
        except Exception:
            logger.exception("handler of %s failed", name)
            return error_body(InternalError(f"{name} failed inside the sidecar; its log has the details"))

    def _find(self, name: str, context: RequestContext) -> Method:
        allowed = self.methods(debug=context.connection.is_debug)
        if name in allowed:
            return METHODS[name]
        if name in self._handlers:
            raise Unauthorized(f"{name} is for debug connections alone: --socket, or options.debug_socket")
        declared = find_method(name)
        if declared is not None:
            raise _unsupported(name, declared.capability)
        nearest = difflib.get_close_matches(name, allowed, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "; welcome.methods lists what there is"
        data: dict[str, object] = {"nearest": nearest[0]} if nearest else {}
        raise MethodNotFound(f"there is no method {name[:100]!r}{hint}", data=data)

    def _refuse_unsupported_fields(self, params: Params | HostParams) -> None:
        for field, capability, default in _fields_with_capability(type(params)):
            if capability not in self._capabilities and getattr(params, field) != default:
                raise _unsupported(f"params.{field}", capability)


def validate_params(method: Method, params: object) -> Params | HostParams:
    """Plain objects as the method's Params. Raises InvalidParams naming the field and what is accepted."""
    plain = {} if params is None else params
    if method.normalise is not None:
        plain = method.normalise(plain)
    try:
        checked = msgspec.convert(plain, method.params)
    except msgspec.ValidationError as error:
        # A required field that is missing may be there under a misspelt name.
        if "unknown field" in str(error) or "missing required field" in str(error):
            unknown = unknown_field(plain, method.params)
            if unknown is not None:
                raise _unknown(unknown) from error
        raise _invalid(str(error)) from error
    dropped = dropped_field(plain, method.params)
    if dropped is not None:
        raise _unknown(dropped)
    # No params have bytes of their own; what takes any JSON would keep them.
    binary = None if is_closed(method.params) else binary_value(plain)
    if binary is not None:
        raise _invalid_at(f"params{binary}", "binary; it takes what JSON has")
    return checked


def error_body(error: SidecarError, partial: Result | None = None) -> ErrorBody:
    """An exception of our tree as it goes over the wire."""
    data = dict(error.data)
    if partial is not None:
        data["partial"] = msgspec.to_builtins(partial)
    return ErrorBody(code=error.code, message=error.message, retryable=error.retryable, data=data)


def _invalid(problem: str) -> InvalidParams:
    # What is wrong is quoted, and may itself say where: the last place counts.
    found = _PLACE.fullmatch(problem)
    what, of_key, where = found.groups() if found is not None else (problem, None, "")
    if of_key is not None:
        what = f"a key: {what}"
    return _invalid_at(f"params{where}", _shortened(what))


def _invalid_at(where: str, problem: str) -> InvalidParams:
    path = _shortened(where)
    return InvalidParams(f"{path}: {problem}", parameter=path)


def _shortened(text: str) -> str:
    return text if len(text) <= _QUOTED_CHARACTERS else f"{text[:_QUOTED_CHARACTERS]}…"


def _unknown(field: UnknownField) -> InvalidParams:
    name, path = field.name[:100], _shortened(field.path)
    nearest = difflib.get_close_matches(name, field.known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known fields: {', '.join(sorted(field.known))}"
    return InvalidParams(
        f"{path} has an unknown field {name!r}; {hint}",
        parameter=f"{path}.{name}",
        data={"nearest": nearest[0]} if nearest else {},
    )


def _unsupported(what: str, capability: str | None) -> Unsupported:
    if capability is None:
        return Unsupported(f"{what} is not part of this engine; welcome.methods lists what is")
    extra = CAPABILITIES[capability].extra
    package = f"; it comes with llm-sidecar[{extra}]" if extra is not None else ""
    return Unsupported(
        f"{what} needs the capability {capability!r}, which this engine does not have{package}",
        data={"capability": capability, **({"extra": extra} if extra is not None else {})},
    )


@cache
def _fields_with_capability(params: type[Params | HostParams]) -> tuple[tuple[str, str, object], ...]:
    """Name, capability and default of the fields that not every engine supports."""
    found: list[tuple[str, str, object]] = []
    for info in msgspec.structs.fields(params):
        kind = msgspec.inspect.type_info(info.type)
        extra = kind.extra if isinstance(kind, msgspec.inspect.Metadata) else None
        if extra is not None and "capability" in extra:
            found.append((info.name, extra["capability"], info.default))
    return tuple(found)
