"""The protocol over one channel: handshake, request ids, events to their request, pings."""

import asyncio
import itertools
import logging
from collections.abc import Callable

import msgspec

from sidecar_client.channel import Channel, Door, Frames, MessageChannel, OpenChannel
from sidecar_client.errors import (
    EngineError,
    EngineLost,
    InvalidMessage,
    StartFailed,
    TooLarge,
    error_from_body,
    error_from_protocol,
)
from sidecar_client.host_handlers import HostHandlers
from sidecar_client.host_requests import HostRequests
from sidecar_client.liveness import Liveness, PingWatch
from sidecar_client.notices import EngineFrozen, EngineThawed, Notice
from sidecar_client.request import Request
from sidecar_client.version import __version__
from sidecar_protocol.codec import decode, decode_events, decode_header, encode_body, encode_header
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ErrorBody, ProtocolError
from sidecar_protocol.handshake import Bye, ClientInfo, Hello, Welcome
from sidecar_protocol.limits import LIMITS, MAX_HEADER_BYTES
from sidecar_protocol.version import SUPPORTED_PROTOCOLS

logger = logging.getLogger("sidecar_client")

NotificationSink = Callable[[str, object], None]


class Connection:
    """One connection. When it is over `on_end` gets the reason, and its owner fails what is pending."""

    def __init__(
        self,
        handlers: HostHandlers,
        liveness: Liveness,
        notice: Callable[[Notice], None],
        notification: NotificationSink,
    ) -> None:
        self.on_end: Callable[[str], None] | None = None
        self.end_reason: str | None = None
        self.ended = asyncio.Event()
        self.said_bye = False
        self._liveness = liveness
        self._notice = notice
        self._notification = notification
        self._loop = asyncio.get_running_loop()
        self._requests: dict[int, Request] = {}
        self._ids = itertools.count(1)
        self._welcome: asyncio.Future[Welcome] = self._loop.create_future()
        self._host_requests = HostRequests(handlers, self._send)
        self._watch = PingWatch(liveness, self._send_ping, self._loop.time())
        self._timer: asyncio.TimerHandle | None = None
        self._channel: MessageChannel | None = None

    async def open(self, door: Door, timeout_seconds: float, *, open_channel: OpenChannel = Channel) -> None:
        """Connect and shake hands. Raises StartFailed."""
        self._channel = open_channel(door, self._liveness, self._receive, self._end)
        hello = Hello(
            protocols=list(SUPPORTED_PROTOCOLS),
            client=ClientInfo(name="sidecar_client", version=__version__, language="python"),
            capabilities=self._host_requests.capabilities,
        )
        self._send(Header(k=Kind.HELLO), hello)
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._welcome
        except TimeoutError:
            await self.close()
            raise StartFailed(
                f"{door.endpoint} did not answer hello within {timeout_seconds:g} s; is it an llm-sidecar?"
            ) from None
        except BaseException:
            await self.close()
            raise
        self._timer = self._loop.call_later(self._watch.tick_seconds, self._tick)

    @property
    def is_open(self) -> bool:
        """Whether it was welcomed and has not ended."""
        return self._timer is not None and self.end_reason is None

    @property
    def welcome(self) -> Welcome:
        """What the engine said about itself."""
        return self._welcome.result()

    def submit(self, request: Request) -> None:
        """Send a request, or fail it when this side can tell that it would be refused."""
        limits = self.welcome.limits
        if request.credit is not None:
            # The engine gives no more; what this side counts must be what it has.
            request.credit = min(request.credit, limits.credit)
        request_id = next(self._ids)
        header = encode_header(
            Header(
                k=Kind.REQUEST,
                id=request_id,
                m=request.method,
                ttl=request.ttl,
                idem=request.idem,
                credit=request.credit,
            )
        )
        for what, size, limit in (
            ("header has", len(header), MAX_HEADER_BYTES),
            ("params have", len(request.body), limits.message_bytes),
        ):
            if size > limit:
                message = f"{request.method[:100]}: its {what} {size} bytes, the engine accepts {limit}"
                request.fail(TooLarge(message, data={"size": size, "limit": limit}))
                return
        request.sent(
            request_id,
            lambda: self._send(Header(k=Kind.CANCEL, id=request_id)),
            lambda events: self._send(Header(k=Kind.CREDIT, id=request_id, credit=events)),
        )
        self._requests[request_id] = request
        self._send_frames([header, request.body])

    def fail_pending(self, error: EngineLost) -> None:
        """End every request that has no answer yet."""
        requests, self._requests = self._requests, {}
        for request in requests.values():
            request.fail(error.for_request(sent=True))

    async def close(self) -> None:
        """Say bye and give the thread and the socket back."""
        if self.is_open:
            self._send(Header(k=Kind.BYE), Bye(code="closed", message="the host closed the connection"))
        if self._timer is not None:
            self._timer.cancel()
        await self._host_requests.close()
        if self._channel is not None:
            await self._channel.close()

    # --- from the channel

    def _receive(self, batch: list[Frames]) -> None:
        if self._watch.heard(self._loop.time()):
            self._notice(EngineThawed())
        for frames in batch:
            try:
                self._dispatch(frames)
            except ProtocolError as error:
                self._broken(error_from_protocol(error))
            except msgspec.ValidationError as error:
                self._broken(InvalidMessage(f"the engine sent a message of another shape: {error}"))

    def _dispatch(self, frames: Frames) -> None:
        if len(frames) != 2:
            raise ProtocolError("invalid_message", f"a message of {len(frames)} frames; it must have 2")
        header = decode_header(frames[0])
        match header.k:
            case Kind.EVENTS:
                self._take_events(frames[1])
            case Kind.RESULT | Kind.ERROR:
                self._take_terminal(header, frames[1])
            case Kind.REQUEST:
                self._host_requests.start(header, _decode_body(frames[1]))
            case Kind.CANCEL:
                self._host_requests.cancel(header)
            case Kind.NOTIFICATION:
                self._take_notification(header.m or "", _decode_body(frames[1]))
            case Kind.PING:
                self._send(Header(k=Kind.PONG, n=header.n))
            case Kind.WELCOME:
                if not self._welcome.done():
                    self._welcome.set_result(msgspec.convert(_decode_body(frames[1]), Welcome))
            case Kind.BYE:
                self._take_bye(msgspec.convert(_decode_body(frames[1]), Bye))
            case Kind.PONG:
                pass
            case unknown:
                logger.info("a message of unknown kind %r was ignored", unknown[:100])

    def _take_events(self, body: bytes) -> None:
        for request_id, sequence, event in decode_events(body):
            request = self._requests.get(request_id)
            if request is None:
                continue
            try:
                request.take_event(sequence, event)
            except InvalidMessage as error:
                self._give_up(request_id, request, error)

    def _take_terminal(self, header: Header, body: bytes) -> None:
        request = self._requests.get(header.id) if header.id is not None else None
        if request is None or header.id is None:
            return
        try:
            content = _decode_body(body)
            if header.k == Kind.RESULT:
                request.take_result(content, header.s)
            else:
                request.take_error(error_from_body(msgspec.convert(content, ErrorBody)), header.s)
        except InvalidMessage as error:
            request.fail(error)
        except (ProtocolError, msgspec.ValidationError) as error:
            request.fail(InvalidMessage(f"{request.method}: the engine's answer cannot be read: {error}"))
        del self._requests[header.id]

    def _give_up(self, request_id: int, request: Request, error: EngineError) -> None:
        request.cancel()
        request.fail(error)
        del self._requests[request_id]

    def _take_notification(self, name: str, body: object) -> None:
        if name == "protocol.error":
            logger.warning("the engine reports a protocol error: %s", body)
        self._notification(name, body)

    def _take_bye(self, bye: Bye) -> None:
        self.said_bye = True
        if self._welcome.done():
            self._end(f"it said goodbye: {bye.message}")
        else:
            self._welcome.set_exception(
                StartFailed(f"the engine refused the connection: {bye.message}", code=bye.code)
            )

    def _broken(self, error: EngineError) -> None:
        # No id tells whom it was meant for: a request may now wait for ever, so the connection cannot go on.
        logger.error("unreadable message from the engine: %s", error.message)
        self._end(f"it sent an unreadable message: {error.message}")

    def _end(self, reason: str) -> None:
        if not self._welcome.done():
            self._welcome.set_exception(StartFailed(f"no connection to the engine: {reason}"))
            self._welcome.exception()
        if self.end_reason is not None:
            return
        self.end_reason = reason
        self.ended.set()
        if self._timer is not None:
            self._timer.cancel()
        if self.on_end is not None:
            self.on_end(reason)

    # --- to the channel

    def _send(self, header: Header, body: object = None) -> None:
        self._send_frames([encode_header(header), encode_body({} if body is None else body)])

    def _send_frames(self, frames: Frames) -> None:
        if self._channel is not None:
            self._channel.send(frames)

    def _send_ping(self, nonce: int) -> None:
        self._send(Header(k=Kind.PING, n=nonce))

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._watch.tick_seconds, self._tick)
        silent = self._watch.tick(self._loop.time(), pending=bool(self._requests))
        if silent is not None:
            self._notice(EngineFrozen(silent_seconds=silent))


def _decode_body(data: bytes) -> object:
    return decode(data, LIMITS)
