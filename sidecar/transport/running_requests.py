"""The host's requests on one connection, from acceptance to their one terminal."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sidecar.errors import Busy, Cancelled, DeadlineExceeded, InternalError, InvalidParams, SidecarError
from sidecar.ports import HostConnection
from sidecar.service.context import RequestContext
from sidecar.service.dispatcher import error_body
from sidecar.transport.event_stream import EventStream
from sidecar.transport.frame_tap import WATCH_METHOD
from sidecar.transport.terms import RequestTask, Terms
from sidecar.transport.wire import Wire
from sidecar_protocol.base import Result
from sidecar_protocol.codec import decode, encode_body
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ErrorBody, ProtocolError
from sidecar_protocol.limits import DEFAULT_CREDIT

logger = logging.getLogger(__name__)

OBSERVERS: Final = frozenset({"engine.logs", WATCH_METHOD})
"""Streams that end only when cancelled: nobody waits for them."""


@dataclass(slots=True, eq=False)
class _Running:
    method: str
    context: RequestContext
    stream: EventStream
    task: RequestTask | None = None
    deadline: asyncio.TimerHandle | None = None

    def end(self, reason: SidecarError) -> None:
        """Stop it from outside; its terminal follows when the handler has ended."""
        self.context.end(reason)
        if self.task is not None:
            self.task.cancel()


class RunningRequests:
    """Starts requests, hands them credit and cancel, and sends one terminal for each.

    `ending` is called with a request's id just before its terminal is sent.
    """

    def __init__(
        self, terms: Terms, wire: Wire, connection: HostConnection, ending: Callable[[int], None]
    ) -> None:
        self.last_id = -1
        self._terms = terms
        self._wire = wire
        self._connection = connection
        self._ending = ending
        self._running: dict[int, _Running] = {}

    def method_of(self, request_id: int | None) -> str | None:
        """The method of a running request, else None."""
        running = self._running.get(request_id) if request_id is not None else None
        return running.method if running is not None else None

    def is_watch(self, request_id: int) -> bool:
        """Whether the id is that of a running engine.watch."""
        return self.method_of(request_id) == WATCH_METHOD

    def refuse(self, request_id: int, error: SidecarError | ProtocolError) -> None:
        """Use up an id for a request that does not start."""
        self.last_id = request_id
        body = (
            ErrorBody(code=error.code, message=error.message, data=error.data)
            if isinstance(error, ProtocolError)
            else error_body(error)
        )
        self._send_terminal(request_id, Kind.ERROR, encode_body(body), 0)

    def start(self, request_id: int, header: Header, body: bytes) -> None:
        """Run a request, or answer why not."""
        try:
            method, params = self._check(header, body)
        except (SidecarError, ProtocolError) as error:
            self.refuse(request_id, error)
            return
        self.last_id = request_id
        credit = DEFAULT_CREDIT if header.credit is None else header.credit

        def give_up(reason: SidecarError) -> None:
            logger.info("request %d (%s) ends: %s", request_id, method, reason.message)
            running.end(reason)

        stream = EventStream(request_id, credit, self._wire, self._terms.limits, self._claim_stream, give_up)
        context = RequestContext(self._connection, request_id, stream)
        running = _Running(method, context, stream)
        self._running[request_id] = running
        loop = asyncio.get_running_loop()
        running.task = loop.create_task(self._terms.dispatcher.dispatch(method, params, context))
        self._terms.tasks.add(running.task)
        running.task.add_done_callback(lambda task: self._finish(request_id, running, task))
        if header.ttl is not None:
            late = DeadlineExceeded(f"{method} did not end within its {header.ttl} ms")
            running.deadline = loop.call_later(header.ttl / 1000, running.end, late)

    def cancel(self, request_id: int) -> None:
        """End a request because the host said so; nothing when it has ended already."""
        running = self._running.get(request_id)
        if running is not None:
            running.end(Cancelled(f"{running.method} was cancelled by the host"))

    def add_credit(self, request_id: int, events: int) -> None:
        """Let more events of a request out; nothing when it has ended already."""
        running = self._running.get(request_id)
        if running is not None:
            running.stream.add_credit(events)

    def end_all(self, reason: SidecarError, *, observers_only: bool = False) -> None:
        """End every request, or only those that would go on for ever."""
        for running in list(self._running.values()):
            if running.method in OBSERVERS or not observers_only:
                running.end(reason)

    def _check(self, header: Header, body: bytes) -> tuple[str, object]:
        """Method and params. Raises what the request is refused with."""
        if header.m is None:
            raise ProtocolError("invalid_message", "header: a req needs `m`, the method")
        if len(self._running) >= self._terms.limits.requests:
            raise Busy(f"{len(self._running)} requests run on this connection; wait until some have ended")
        if header.idem is not None:
            raise InvalidParams(
                f"{header.m} takes no idempotency key; send the request without `idem`", parameter="idem"
            )
        return header.m, decode(body, self._terms.limits)

    def _claim_stream(self) -> None:
        if sum(running.stream.is_open for running in self._running.values()) >= self._terms.limits.streams:
            raise Busy(
                f"{self._terms.limits.streams} streams are open on this connection; "
                "wait until some have ended, or ask without stream"
            )

    def _finish(self, request_id: int, running: _Running, task: RequestTask) -> None:
        self._terms.tasks.discard(task)
        if running.deadline is not None:
            running.deadline.cancel()
        self._ending(request_id)
        sent = running.stream.finish()
        kind, body = self._terminal(running, task)
        self._send_terminal(request_id, kind, body, sent)
        del self._running[request_id]

    def _terminal(self, running: _Running, task: RequestTask) -> tuple[Kind, bytes]:
        outcome: Result | ErrorBody
        if task.cancelled():
            # Cancelled before its first step, or by something other than `end`: the dispatcher had no say.
            reason = running.context.end_reason or Cancelled(
                f"{running.method} was cancelled inside the sidecar"
            )
            outcome = error_body(reason)
        elif (failure := task.exception()) is not None:
            logger.error("ending %s failed", running.method, exc_info=failure)
            outcome = error_body(_failed_inside(running.method))
        else:
            outcome = task.result()
        try:
            return _kind_of(outcome), encode_body(outcome, self._terms.limits)
        except ProtocolError as error:
            return Kind.ERROR, encode_body(self._unsendable(running.method, outcome, error))

    def _unsendable(self, method: str, outcome: Result | ErrorBody, problem: ProtocolError) -> ErrorBody:
        """What is sent in place of an outcome that cannot be encoded."""
        if isinstance(outcome, ErrorBody):
            kept = {key: value for key, value in outcome.data.items() if key != "partial"}
            if "partial" in outcome.data and problem.code == "too_large":
                return ErrorBody(
                    code=outcome.code,
                    message=f"{outcome.message} (the partial output is too large to send)",
                    retryable=outcome.retryable,
                    data=kept,
                )
        elif problem.code == "too_large":
            return ErrorBody(
                code="too_large", message=f"the result of {method} is {problem.message}", data=problem.data
            )
        logger.error("the outcome of %s cannot be encoded: %s", method, problem.message)
        return error_body(_failed_inside(method))

    def _send_terminal(self, request_id: int, kind: Kind, body: bytes, sent: int) -> None:
        self._wire.send(Header(k=kind, id=request_id, s=sent), body)


def _failed_inside(method: str) -> InternalError:
    return InternalError(f"{method} failed inside the sidecar; its log has the details")


def _kind_of(outcome: Result | ErrorBody) -> Kind:
    return Kind.ERROR if isinstance(outcome, ErrorBody) else Kind.RESULT
