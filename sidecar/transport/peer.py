"""One host's connection, whatever carries it: hello, then each kind of message to whom it concerns."""

import enum
import logging
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from sidecar.errors import Cancelled, ShuttingDown, SidecarError, Unsupported
from sidecar.transport.base import Link
from sidecar.transport.host_requests import HostRequests
from sidecar.transport.running_requests import RunningRequests
from sidecar.transport.terms import Terms
from sidecar.transport.wire import Wire
from sidecar_protocol.codec import decode, decode_header, encode_body
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ProtocolError
from sidecar_protocol.handshake import Bye, Hello, Welcome
from sidecar_protocol.version import SUPPORTED_PROTOCOLS

logger = logging.getLogger(__name__)

_ABOUT_HOSTS_REQUESTS: Final = frozenset({Kind.REQUEST, Kind.CANCEL, Kind.CREDIT})
_ABOUT_OUR_REQUESTS: Final = frozenset({Kind.RESULT, Kind.ERROR})


class _State(enum.Enum):
    NEW = enum.auto()
    OPEN = enum.auto()
    OVER = enum.auto()


class Peer:
    """A connection; implements HostConnection for the rooms inside.

    `admit` is asked at hello and raises what the host is refused with; `over` is
    called once when a connection that was admitted has ended.
    """

    def __init__(
        self,
        connection_id: str,
        link: Link,
        terms: Terms,
        admit: Callable[["Peer"], None],
        over: Callable[["Peer"], None],
    ) -> None:
        self._connection_id = connection_id
        self._terms = terms
        self._admit = admit
        self._over = over
        self._capabilities: frozenset[str] = frozenset()
        self._state = _State.NEW
        self._accepts_requests = True
        self._ping_unanswered = False
        self._ping_nonce = 0
        self._wire = Wire(link, terms.limits, self.lost, self._show_outgoing)
        self._host_requests = HostRequests(self._wire, terms.limits)
        self._requests = RunningRequests(terms, self._wire, self, self._host_requests.parent_ended)

    # --- HostConnection

    @property
    def connection_id(self) -> str:
        """Stable for the connection's life."""
        return self._connection_id

    @property
    def capabilities(self) -> frozenset[str]:
        """What the host declared in its hello."""
        return self._capabilities

    @property
    def is_debug(self) -> bool:
        """Whether it came through the debug door."""
        return self._terms.debug

    async def request(
        self, method: str, params: Mapping[str, object], *, parent: int | None = None
    ) -> object:
        """Ask the host. Raises Unsupported without the capability, Cancelled, or the host's error."""
        if method not in self._capabilities:
            raise Unsupported(f"the host did not declare {method} in its hello's capabilities")
        if not self.is_open:
            raise Cancelled(f"{method}: the connection is over")
        return await self._host_requests.ask(method, params, parent)

    def notify(self, method: str, params: Mapping[str, object]) -> None:
        """Tell the host; never waits."""
        if self.is_open:
            self._wire.notify(method, params)

    # --- for the hub and the transport

    @property
    def is_open(self) -> bool:
        """Whether it has said hello and is not over."""
        return self._state is _State.OPEN

    @property
    def is_over(self) -> bool:
        """Whether it said bye, was refused, or was lost."""
        return self._state is _State.OVER

    def receive(self, frames: list[bytes]) -> None:
        """One message as it came from the transport."""
        if self.is_over:
            return
        try:
            if len(frames) != 2:
                raise ProtocolError(
                    "invalid_message", f"a message of {len(frames)} frames; it has two, header and body"
                )
            header = decode_header(frames[0])
        except ProtocolError as error:
            self._refuse_unreadable(error)
            return
        self._show_incoming(header, frames[1])
        if self._state is _State.OPEN:
            self._take(header, frames[1])
        elif header.k == Kind.HELLO:
            self._take_hello(frames[1])
        else:
            self.say_bye("invalid_message", "the first message must be hello")

    def probe(self, *, insist: bool = False) -> None:
        """Send a ping so that a peer that is gone is noticed; unless one is unanswered, or `insist`."""
        if self.is_open and (insist or not self._ping_unanswered):
            self._ping_unanswered = True
            self._ping_nonce += 1
            self._wire.send(Header(k=Kind.PING, n=self._ping_nonce))

    def refuse_requests(self) -> None:
        """Answer new requests with `shutting_down`, and end the streams that would go on for ever."""
        self._accepts_requests = False
        self._requests.end_all(ShuttingDown("the sidecar is ending"), observers_only=True)

    def end_requests(self, reason: SidecarError) -> None:
        """End every running request; each still gets its terminal."""
        self._requests.end_all(reason)

    def say_bye(self, code: str, message: str) -> None:
        """End the connection and say why."""
        if not self.is_over:
            self._wire.send(Header(k=Kind.BYE), encode_body(Bye(code=code, message=message)))
            self._end("the sidecar said bye")

    def lost(self) -> None:
        """The peer is gone; nothing can be said to it."""
        self._end("the host is gone")

    # --- messages

    def _take_hello(self, body: bytes) -> None:
        try:
            hello = msgspec.convert(decode(body, self._terms.limits), Hello)
        except (ProtocolError, msgspec.ValidationError) as error:
            self.say_bye("invalid_message", f"hello: {error}")
            return
        common = set(hello.protocols) & set(SUPPORTED_PROTOCOLS)
        if not common:
            ours = ", ".join(map(str, SUPPORTED_PROTOCOLS))
            self.say_bye(
                "unsupported_protocol",
                f"no common protocol version: the host speaks {hello.protocols[:16]}, this sidecar {ours}",
            )
            return
        try:
            self._admit(self)
        except SidecarError as error:
            self.say_bye(error.code, error.message)
            return
        self._capabilities = frozenset(hello.capabilities)
        self._state = _State.OPEN
        logger.info(
            "connection %s opened by %s %s",
            self._connection_id,
            hello.client.name[:100],
            hello.client.version[:100],
        )
        welcome = Welcome(
            protocol=max(common),
            boot_id=self._terms.boot_id,
            version=self._terms.version,
            capabilities=self._terms.dispatcher.capabilities,
            limits=self._terms.limits,
            methods=self._terms.dispatcher.methods(debug=self._terms.debug),
        )
        self._wire.send(Header(k=Kind.WELCOME), encode_body(welcome))

    def _take(self, header: Header, body: bytes) -> None:
        match header.k:
            case Kind.REQUEST | Kind.CANCEL | Kind.CREDIT | Kind.RESULT | Kind.ERROR:
                self._take_with_id(header, body)
            case Kind.PING:
                self._wire.send(Header(k=Kind.PONG, n=header.n))
            case Kind.PONG:
                self._ping_unanswered = False
            case Kind.BYE:
                self._end("the host said bye")
            case Kind.HELLO:
                self._wire.protocol_error("conflict", "hello was said already on this connection")
            case other:
                logger.info("a message of kind %r was ignored (m=%r)", other[:100], (header.m or "")[:100])

    def _take_with_id(self, header: Header, body: bytes) -> None:
        request_id = header.id
        if request_id is None:
            self._wire.protocol_error("invalid_message", f"header: {header.k} needs an id")
            return
        if header.k == Kind.REQUEST:
            self._take_request(request_id, header, body)
            return
        last_id = (self._requests if header.k in _ABOUT_HOSTS_REQUESTS else self._host_requests).last_id
        if request_id > last_id:
            self._wire.protocol_error(
                "invalid_message",
                f"{header.k} for id {request_id}, which was never used",
                request_id=request_id,
            )
        elif header.k == Kind.CANCEL:
            self._requests.cancel(request_id)
        elif header.k == Kind.CREDIT:
            self._requests.add_credit(request_id, header.credit or 0)
        else:
            self._host_requests.take_answer(header, body)

    def _take_request(self, request_id: int, header: Header, body: bytes) -> None:
        last_id = self._requests.last_id
        if request_id <= last_id:
            self._wire.protocol_error(
                "invalid_message",
                f"request id {request_id} was used or skipped; ids must rise above {last_id}",
                request_id=request_id,
                limit=last_id,
            )
        elif not self._accepts_requests:
            self._requests.refuse(request_id, ShuttingDown("the sidecar is ending and takes no new requests"))
        else:
            self._requests.start(request_id, header, body)

    def _refuse_unreadable(self, error: ProtocolError) -> None:
        if self._state is not _State.OPEN:
            self.say_bye(error.code, error.message)
            return
        request_id = error.data.pop("id", None)
        if isinstance(request_id, int) and request_id > self._requests.last_id:
            self._requests.refuse(request_id, error)
        else:
            self._wire.protocol_error(error.code, error.message)

    def _end(self, why: str) -> None:
        was_open = self.is_open
        if self.is_over:
            return
        self._state = _State.OVER
        self._wire.close()
        if was_open:
            logger.info("connection %s is over: %s", self._connection_id, why)
            self._requests.end_all(Cancelled(f"the connection is over: {why}"))
            self._host_requests.fail_all(why)
            self._over(self)

    # --- watching

    def _show_incoming(self, header: Header, body: bytes) -> None:
        if self._terms.frame_tap.active:
            ours = header.k in _ABOUT_OUR_REQUESTS
            method = header.m or (self._host_requests if ours else self._requests).method_of(header.id)
            self._terms.frame_tap.show(
                "in", self._connection_id, header, body, method=method, is_watch=self._requests.is_watch
            )

    def _show_outgoing(self, header: Header, body: bytes) -> None:
        if self._terms.frame_tap.active:
            ours = header.k not in _ABOUT_OUR_REQUESTS
            method = header.m or (self._host_requests if ours else self._requests).method_of(header.id)
            self._terms.frame_tap.show(
                "out", self._connection_id, header, body, method=method, is_watch=self._requests.is_watch
            )
