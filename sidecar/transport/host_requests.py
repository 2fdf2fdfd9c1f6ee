"""Requests of ours to the host: ids, answers, and what happens to them when their parent ends."""

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from sidecar.errors import (
    Cancelled,
    Conflict,
    DeadlineExceeded,
    InvalidParams,
    MessageTooLarge,
    NeedsAuth,
    NotFound,
    PermissionDenied,
    RequestError,
    SidecarError,
    Unauthorized,
    Unsupported,
    UpstreamFailed,
)
from sidecar.transport.wire import Wire
from sidecar_protocol.codec import decode, encode_body
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ErrorBody, ProtocolError
from sidecar_protocol.limits import Limits

CANCELLED_ANSWER_SECONDS: Final = 0.5
"""What the host gets to end a cancelled request; who asks for tools waits a shorter time."""

_HOST_ERRORS: Final[dict[str, type[RequestError]]] = {
    kind.code: kind
    for kind in (
        Cancelled,
        Conflict,
        DeadlineExceeded,
        InvalidParams,
        NeedsAuth,
        NotFound,
        PermissionDenied,
        Unauthorized,
        Unsupported,
    )
}


@dataclass(slots=True, eq=False)
class _Pending:
    method: str
    parent: int | None
    answer: asyncio.Future[object]
    cancelled: bool = False


class HostRequests:
    """Asks the host and matches its answers."""

    def __init__(self, wire: Wire, limits: Limits) -> None:
        self.last_id = 0
        self._wire = wire
        self._limits = limits
        self._ids: Iterator[int] = itertools.count(1)
        self._pending: dict[int, _Pending] = {}

    def method_of(self, request_id: int | None) -> str | None:
        """The method of a request that waits for its answer, else None."""
        pending = self._pending.get(request_id) if request_id is not None else None
        return pending.method if pending is not None else None

    async def ask(self, method: str, params: Mapping[str, object], parent: int | None) -> object:
        """Send a request and wait for its result. Raises the host's error, Cancelled when the parent ends.

        When the wait is cancelled the host is told, and gets a moment to end the
        request, in which its answer is still taken but no longer given back.
        """
        try:
            body = encode_body(params, self._limits)
        except ProtocolError as error:
            raise MessageTooLarge(f"params of {method}: {error.message}", data=error.data) from error
        request_id = self.last_id = next(self._ids)
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        pending = self._pending[request_id] = _Pending(method, parent, answer)
        self._wire.send(Header(k=Kind.REQUEST, id=request_id, m=method, p=parent), body)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if request_id in self._pending:
                self._cancel(request_id, pending)
                await asyncio.wait([answer], timeout=CANCELLED_ANSWER_SECONDS)
            raise
        finally:
            self._pending.pop(request_id, None)
            if answer.done():
                # A wait that was cancelled leaves an error that nobody looks at, and asyncio would log it.
                answer.exception()

    def take_answer(self, header: Header, body: bytes) -> None:
        """A `res` or `err` of the host; nothing when the request has ended already."""
        pending = self._pending.pop(header.id, None) if header.id is not None else None
        if pending is None or pending.answer.done():
            return
        try:
            content = decode(body, self._limits)
            if header.k == Kind.RESULT:
                pending.answer.set_result(content)
            else:
                pending.answer.set_exception(_host_error(msgspec.convert(content, ErrorBody)))
        except (ProtocolError, msgspec.ValidationError) as error:
            pending.answer.set_exception(
                UpstreamFailed(f"the host's answer to {pending.method} cannot be read: {error}")
            )

    def parent_ended(self, parent: int) -> None:
        """Cancel what was asked on behalf of a request that is over."""
        for request_id, pending in list(self._pending.items()):
            if pending.parent == parent:
                del self._pending[request_id]
                self._cancel(request_id, pending)
                _fail(pending, Cancelled(f"{pending.method} was cancelled: the request it served has ended"))

    def _cancel(self, request_id: int, pending: _Pending) -> None:
        if not pending.cancelled:
            pending.cancelled = True
            self._wire.send(Header(k=Kind.CANCEL, id=request_id))

    def fail_all(self, message: str) -> None:
        """The host is gone: nobody will answer."""
        pending, self._pending = self._pending, {}
        for one in pending.values():
            _fail(one, UpstreamFailed(f"{one.method}: {message}"))


def _fail(pending: _Pending, error: SidecarError) -> None:
    if not pending.answer.done():
        pending.answer.set_exception(error)


def _host_error(body: ErrorBody) -> SidecarError:
    kind = _HOST_ERRORS.get(body.code)
    if kind is not None:
        return kind(body.message, data=body.data)
    return UpstreamFailed(
        f"the host answered {body.code}: {body.message}", data={**body.data, "code": body.code}
    )
