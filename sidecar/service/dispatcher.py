"""Method name and plain objects in, a result or an error body out.

It is not aware of any transport, nor of what the methods do. It is one of the
three boundaries that may catch everything: whatever a handler raises becomes
an error on the wire, and the process goes on.
"""

import asyncio
import difflib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, get_args

import msgspec

from sidecar.errors import InternalError, InvalidParams, MethodNotFound, SidecarError, Unauthorized
from sidecar.service.context import RequestContext
from sidecar_protocol.base import Params, Result
from sidecar_protocol.errors import ErrorBody
from sidecar_protocol.methods import METHODS, Method

logger = logging.getLogger(__name__)

Handler = Callable[[Any, RequestContext], Awaitable[Result]]


class Dispatcher:
    """Validates a request, runs its handler and turns whatever it raises into an error body."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        undeclared = set(handlers) - set(METHODS)
        if undeclared:
            raise ValueError(f"handlers for undeclared methods: {sorted(undeclared)}")
        self._handlers = dict(handlers)

    def methods(self, *, debug: bool) -> list[str]:
        """Names of the methods that a connection may call, sorted."""
        return sorted(name for name in self._handlers if debug or not METHODS[name].debug_only)

    async def dispatch(self, name: str, params: object, context: RequestContext) -> Result | ErrorBody:
        """Run one request to its end. Raises CancelledError alone, when nobody called `context.end`."""
        try:
            method = self._find(name, context)
            checked = validate_params(method, params)
            if method.streams and getattr(checked, "stream", False):
                context.open_stream()
            return await self._handlers[name](checked, context)
        except asyncio.CancelledError:
            if context.end_reason is None:
                raise
            partial = context.partial() if context.partial is not None else None
            return error_body(context.end_reason, partial)
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
            raise Unauthorized(f"{name} is for debug connections alone; start the sidecar with --socket")
        nearest = difflib.get_close_matches(name, allowed, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "; welcome.methods lists what there is"
        data: dict[str, object] = {"nearest": nearest[0]} if nearest else {}
        raise MethodNotFound(f"there is no method {name[:100]!r}{hint}", data=data)


def validate_params(method: Method, params: object) -> Params:
    """Plain objects as the method's Params. Raises InvalidParams naming the field and what is accepted."""
    try:
        return msgspec.convert({} if params is None else params, method.params)
    except msgspec.ValidationError as error:
        raise _invalid_params(method, str(error)) from error


def error_body(error: SidecarError, partial: Result | None = None) -> ErrorBody:
    """An exception of our tree as it goes over the wire."""
    data = dict(error.data)
    if partial is not None:
        data["partial"] = msgspec.to_builtins(partial)
    return ErrorBody(code=error.code, message=error.message, retryable=error.retryable, data=data)


def _invalid_params(method: Method, problem: str) -> InvalidParams:
    what, _, where = problem.partition(" - at `$")
    path = "params" + where.rstrip("`")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL)
    if unknown is None:
        return InvalidParams(f"{path}: {what}", parameter=path)
    name = unknown.group(1)[:100]
    known = sorted(_fields_of(method.params) if path == "params" else _fields_below(method.params))
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known fields: {', '.join(known)}"
    return InvalidParams(
        f"{path} has an unknown field {name!r}; {hint}",
        parameter=f"{path}.{name}",
        data={"nearest": nearest[0]} if nearest else {},
    )


def _fields_of(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


def _fields_below(params: type[msgspec.Struct]) -> set[str]:
    """Field names of all structs in the params: msgspec says where a field is, not of which struct."""
    names: set[str] = set()
    seen: set[type[msgspec.Struct]] = {params}
    queue: list[object] = [field.type for field in msgspec.structs.fields(params)]
    while queue:
        item = queue.pop()
        if not isinstance(item, type) or not issubclass(item, msgspec.Struct):
            queue.extend(get_args(item))
        elif item not in seen:
            seen.add(item)
            names |= _fields_of(item)
            queue.extend(field.type for field in msgspec.structs.fields(item))
    return names
