"""A host on a real socket that breaks every rule, and still keeps account of what it is owed.

For each message it works out what the protocol owes it (a terminal, a notice, a
pong, or nothing) and holds the engine to it: no terminal twice, none for nothing,
no gap in a stream, nothing left over in the end.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Self

import msgpack
import zmq

from sidecar.errors import InvalidParams
from sidecar.service.dispatcher import validate_params
from sidecar_protocol.codec import decode, decode_header
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ProtocolError
from sidecar_protocol.handshake import ConnectionFile
from sidecar_protocol.methods import METHODS
from tests.faults.fuzz.tally import OTHER, Tally

DEADLINE_MS: Final = 30_000
IN_FLIGHT: Final = 384
"""Requests without a terminal at which the next message waits; below the limit of a connection."""
CANCEL_AFTER: Final = 256
"""A request that so many later ones have followed is cancelled: some would go on for ever."""
LARGEST_STEP: Final = 2**32
"""Larger steps from one id to the next would use up the ids that the rest of the run needs."""

FRAMES, HEADER, FIELDS, KIND, ID = "number of frames", "header: msgpack", "header: fields", "kind", "id"
SIZE, BODY, DEPTH = "body: size", "body: msgpack", "body: depth and elements"
METHOD, BUSY, IGNORED = "method", "busy", "nothing to answer: too late, or about nothing"
UNKNOWN_FIELD, PARAMS, CAPABILITY = "params: unknown field", "params: validation", "params: capability"
REFUSED_LATER, ACCEPTED = "accepted, ended by an error", "accepted, ended by a result"
STAGES: Final = (
    FRAMES,
    HEADER,
    FIELDS,
    KIND,
    ID,
    IGNORED,
    SIZE,
    BODY,
    DEPTH,
    METHOD,
    BUSY,
    UNKNOWN_FIELD,
    PARAMS,
    CAPABILITY,
    REFUSED_LATER,
    ACCEPTED,
)
PARAMS_REACHED: Final = (UNKNOWN_FIELD, PARAMS, CAPABILITY, REFUSED_LATER, ACCEPTED)


class Owed:
    """A request that waits for its terminal."""

    __slots__ = ("cancelled", "events", "frames")

    def __init__(self, frames: list[bytes]) -> None:
        self.frames = frames
        self.events = 0
        self.cancelled = False


class Flood:
    """One connection. Raises AssertionError when the engine owes more, or gives more, than it may."""

    def __init__(self, door: ConnectionFile, alive: Callable[[], bool]) -> None:
        self.tally = Tally(STAGES, PARAMS_REACHED)
        self.last_id = 0
        self.asked: list[int] = []
        self._highest_asked = 0
        self._alive = alive
        self._owed: dict[int, Owed] = {}
        self._notices: deque[list[bytes]] = deque()
        self._pongs = 0
        self._context = zmq.Context()
        self._socket = dealer(self._context, door)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        hello = {
            "protocols": [1],
            "client": {"name": "flood", "version": "0"},
            "capabilities": ["host.call_tool"],
        }
        self._socket.send_multipart([msgpack.packb({"k": "hello"}), msgpack.packb(hello)])
        header, welcome = self._receive()
        assert header["k"] == Kind.WELCOME, welcome
        self.methods: list[str] = welcome["methods"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._context.destroy(linger=0)

    def send(self, frames: list[bytes]) -> bool:
        """Send a message; False for one that would end the engine, this connection, or its ids."""
        owes = self._owes(frames)
        if owes is None:
            return False
        self._take_what_has_come()
        while len(self._owed) >= IN_FLIGHT:
            self._cancel_old()
            self._wait()
        self._socket.send_multipart(frames)
        owes()
        return True

    def settle(self) -> None:
        """Cancel what runs and wait until nothing is owed any more."""
        self._cancel(self._owed)
        self._socket.send_multipart([msgpack.packb({"k": "ping", "n": 1}), b"\x80"])
        self._pongs += 1
        while self._owed or self._notices or self._pongs:
            self._wait()

    # --- what is owed

    def _owes(self, frames: list[bytes]) -> Callable[[], None] | None:
        """What to note when the message is sent; None for one that must not be."""
        if len(frames) != 2:
            return lambda: self._notices.append(frames)
        try:
            header = decode_header(frames[0])
        except ProtocolError as error:
            request_id = error.data.get("id")
            if isinstance(request_id, int) and request_id > self.last_id:
                return self._terminal(request_id, frames)
            return lambda: self._notices.append(frames)
        match header.k:
            case Kind.REQUEST:
                return self._of_request(header, frames)
            case Kind.CANCEL | Kind.CREDIT:
                return self._of_reference(header.id, self.last_id, frames)
            case Kind.RESULT | Kind.ERROR:
                # What the engine has asked and we have not read yet is an id it knows and we do not.
                if (
                    header.id is not None
                    and self._highest_asked < header.id < self._highest_asked + LARGEST_STEP
                ):
                    return None
                return self._of_reference(header.id, self._highest_asked, frames)
            case Kind.HELLO:
                return lambda: self._notices.append(frames)
            case Kind.PING:
                return self._of_ping
            case Kind.BYE:
                return None
            case Kind.WELCOME | Kind.EVENTS | Kind.NOTIFICATION | Kind.PONG:
                return lambda: self.tally.add(IGNORED)
            case _:
                return lambda: self.tally.add(KIND)

    def _of_request(self, header: Header, frames: list[bytes]) -> Callable[[], None] | None:
        if header.id is None or header.id <= self.last_id:
            return lambda: self._notices.append(frames)
        if header.m == "engine.shutdown" and _is_valid(header.m, frames[1]):
            return None
        return self._terminal(header.id, frames)

    def _of_reference(self, request_id: int | None, highest: int, frames: list[bytes]) -> Callable[[], None]:
        if request_id is None or request_id > highest:
            return lambda: self._notices.append(frames)
        return lambda: self.tally.add(IGNORED)

    def _of_ping(self) -> None:
        self._pongs += 1
        self.tally.add(ACCEPTED)

    def _terminal(self, request_id: int, frames: list[bytes]) -> Callable[[], None] | None:
        if request_id > self.last_id + LARGEST_STEP:
            return None

        def note() -> None:
            self.last_id = request_id
            self._owed[request_id] = Owed(frames)

        return note

    # --- what comes

    def _take_what_has_come(self) -> None:
        while self._socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            self._take(*self._receive())

    def _wait(self) -> None:
        self._take(*self._receive())
        self._take_what_has_come()

    def _receive(self) -> tuple[dict[str, Any], Any]:
        if not self._poller.poll(DEADLINE_MS):
            running = "the process runs" if self._alive() else "the process is gone"
            owed = [f"{number}: {hex_of(one.frames)}" for number, one in list(self._owed.items())[:5]]
            raise AssertionError(
                f"no answer in {DEADLINE_MS / 1000:.0f} s, {running}; {len(self._owed)} terminals and "
                f"{len(self._notices)} notices are owed; the oldest: {owed} {list(self._notices)[:2]}"
            )
        frames = self._socket.recv_multipart()
        assert len(frames) == 2, frames
        return msgpack.unpackb(frames[0]), msgpack.unpackb(frames[1])

    def _take(self, header: dict[str, Any], body: Any) -> None:
        match header["k"]:
            case Kind.RESULT | Kind.ERROR:
                owed = self._owed.pop(header["id"], None)
                assert owed is not None, f"a terminal for {header['id']}, which has none due: {body}"
                assert header["s"] == owed.events, f"{header} says other than the {owed.events} that came"
                stage = (
                    ACCEPTED if header["k"] == Kind.RESULT else stage_of_error(body["code"], body["message"])
                )
                self._count(stage, body, owed.frames)
            case Kind.EVENTS:
                for request_id, sequence, _ in body:
                    owed = self._owed[request_id]
                    assert sequence == owed.events, f"a gap in the events of {request_id}"
                    owed.events += 1
            case Kind.NOTIFICATION if header["m"] == "protocol.error":
                assert self._notices, f"a notice about nothing: {body}"
                self._count(stage_of_notice(body["code"], body["message"]), body, self._notices.popleft())
            case Kind.PONG:
                self._pongs -= 1
                assert self._pongs >= 0, "a pong for no ping"
            case Kind.REQUEST:
                self._highest_asked = header["id"]
                self.asked.append(header["id"])
            case Kind.BYE:
                raise AssertionError(f"the engine ended the connection: {body}")

    def _count(self, stage: str, body: object, frames: list[bytes]) -> None:
        assert stage != OTHER, f"{body} in answer to {hex_of(frames)}"
        self.tally.add(stage)

    # --- what must not go on for ever

    def _cancel_old(self) -> None:
        old = self.last_id - CANCEL_AFTER
        self._cancel({number: owed for number, owed in self._owed.items() if number <= old})

    def _cancel(self, requests: dict[int, Owed]) -> None:
        for number, owed in requests.items():
            if not owed.cancelled:
                owed.cancelled = True
                self._socket.send_multipart([msgpack.packb({"k": "cancel", "id": number}), b"\x80"])


def dealer(context: "zmq.Context[zmq.Socket[bytes]]", door: ConnectionFile) -> "zmq.Socket[bytes]":
    """A socket that is let in."""
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    socket.curve_serverkey = door.server_key.encode()
    socket.curve_publickey = door.client_key.encode()
    socket.curve_secretkey = door.client_secret.encode()
    socket.connect(door.endpoint)
    return socket


def stage_of_error(code: str, message: str) -> str:
    """The stage that gave a request this error."""
    match code:
        case "invalid_message" if message.startswith("header: "):
            return FIELDS
        case "invalid_message":
            return DEPTH if "nested deeper" in message else BODY
        case "too_large":
            return DEPTH if "elements" in message else SIZE
        case "method_not_found" | "unauthorized":
            return METHOD
        case "unsupported" if message.startswith("params."):
            return CAPABILITY
        case "unsupported":
            return METHOD
        case "invalid_params" if "idempotency key" in message:
            return FIELDS
        case "invalid_params":
            return UNKNOWN_FIELD if "unknown field" in message else PARAMS
        case "busy":
            return BUSY
        case "internal":
            return OTHER
        case _:
            return REFUSED_LATER


def stage_of_notice(code: str, message: str) -> str:
    """The stage that answered with a protocol.error."""
    if code == "conflict":
        return KIND
    if "frames; it has two" in message:
        return FRAMES
    if "needs an id" in message or "never used" in message or "was used or skipped" in message:
        return ID
    return FIELDS if message.startswith("header: ") else HEADER


def hex_of(frames: list[bytes]) -> str:
    """Frames to look at, long ones cut."""
    return " ".join(frame[:200].hex() + ("…" if len(frame) > 200 else "") for frame in frames)


def _is_valid(name: str, body: bytes) -> bool:
    try:
        validate_params(METHODS[name], decode(body))
    except (ProtocolError, InvalidParams):
        return False
    return True
