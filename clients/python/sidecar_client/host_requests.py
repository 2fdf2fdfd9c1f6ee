"""Requests that the engine makes of this program: run a tool, ask the user."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, cast

import msgspec

from sidecar_client.errors import EngineError
from sidecar_client.host_handlers import HostHandlers
from sidecar_client.reading import read
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ErrorBody, ProtocolError
from sidecar_protocol.methods import HOST_REQUESTS

Handler = Callable[[Any], Awaitable[object]]
"""Takes a request's params, gives back its result; what it raises is the request's error."""

_MESSAGE_CHARACTERS: Final = 1000
"""Of an error that cannot be sent as it is."""


class HostRequests:
    """Runs the handlers, one task per request, and sends what they return or raise."""

    def __init__(self, handlers: HostHandlers, send: Callable[[Header, object], None]) -> None:
        self._handlers = dict(cast("Mapping[str, Handler]", handlers))
        self._send = send
        self._tasks: dict[int, asyncio.Task[object]] = {}
        self._last_id = -1

    @property
    def capabilities(self) -> list[str]:
        """What hello declares: the requests that have a handler."""
        return sorted(self._handlers)

    def start(self, header: Header, plain: object) -> None:
        """Run the handler of a request; without one, or with params of another type, it is refused.

        One whose id does not rise above those before it breaks the contract and is ignored.
        """
        request_id, name = header.id, header.m or ""
        if request_id is None or request_id <= self._last_id:
            return
        self._last_id = request_id
        handler = self._handlers.get(name)
        if handler is None:
            self._refuse(request_id, ErrorBody(code="unsupported", message=f"no handler for {name!r} here"))
            return
        try:
            params = _read_params(name, plain)
        except msgspec.ValidationError as error:
            self._refuse(request_id, ErrorBody(code="invalid_params", message=f"{name}: {error}"))
            return
        task: asyncio.Task[object] = asyncio.ensure_future(_run(handler, params))
        self._tasks[request_id] = task
        task.add_done_callback(partial(self._answer, request_id))

    def cancel(self, header: Header) -> None:
        """The engine no longer wants the answer."""
        task = self._tasks.get(header.id) if header.id is not None else None
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Cancel the handlers that still run and wait for them."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answer(self, request_id: int, task: "asyncio.Task[object]") -> None:
        del self._tasks[request_id]
        if task.cancelled():
            self._refuse(request_id, ErrorBody(code="cancelled", message="the handler was cancelled"))
            return
        error = task.exception()
        if error is None:
            self._give(request_id, task.result())
        elif isinstance(error, EngineError):
            self._refuse(request_id, ErrorBody(code=error.code, message=error.message, data=error.data))
        else:
            message = f"the handler raised {type(error).__name__}: {error}"
            self._refuse(request_id, ErrorBody(code="internal", message=message))

    def _give(self, request_id: int, result: object) -> None:
        try:
            self._send(Header(k=Kind.RESULT, id=request_id, s=0), result)
        except ProtocolError as error:
            message = f"the handler returned what cannot be sent: {error.message}"
            self._refuse(request_id, ErrorBody(code="internal", message=message))

    def _refuse(self, request_id: int, body: ErrorBody) -> None:
        header = Header(k=Kind.ERROR, id=request_id, s=0)
        try:
            self._send(header, body)
        except ProtocolError:
            message = body.message[:_MESSAGE_CHARACTERS].encode(errors="replace").decode()
            self._send(header, ErrorBody(code=body.code, message=message))


def _read_params(name: str, plain: object) -> object:
    """In the protocol's type; plain objects where it has none of this name. Raises ValidationError."""
    request = HOST_REQUESTS.get(name)
    return plain if request is None else read(plain, request.params)


async def _run(handler: Handler, params: object) -> object:
    return await handler(params)
