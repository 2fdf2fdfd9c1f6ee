"""Requests that the engine makes of this program: run a tool, ask the user."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from sidecar_client.errors import EngineError
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ErrorBody, ProtocolError

Handler = Callable[[object], Awaitable[object]]
"""Takes the request's params, gives back its result; what it raises is the request's error."""


class HostRequests:
    """Runs the handlers, one task per request, and sends what they return or raise."""

    def __init__(self, handlers: Mapping[str, Handler], send: Callable[[Header, object], None]) -> None:
        self._handlers = dict(handlers)
        self._send = send
        self._tasks: dict[int, asyncio.Task[object]] = {}

    @property
    def capabilities(self) -> list[str]:
        """What hello declares: the requests that have a handler."""
        return sorted(self._handlers)

    def start(self, header: Header, params: object) -> None:
        """Run the handler of a request; without one it is refused."""
        request_id = header.id
        if request_id is None:
            return
        handler = self._handlers.get(header.m or "")
        if handler is None:
            self._refuse(
                request_id, ErrorBody(code="unsupported", message=f"no handler for {header.m!r} here")
            )
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
        self._send(Header(k=Kind.ERROR, id=request_id, s=0), body)


async def _run(handler: Handler, params: object) -> object:
    return await handler(params)
