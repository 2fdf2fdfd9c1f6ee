"""The first of a message's two frames: what kind it is, and which request it belongs to."""

import enum
from typing import Annotated

import msgspec

from sidecar_protocol.limits import MAX_ID

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)]
"""An unsigned number that JavaScript reads exactly."""


class Kind(enum.StrEnum):
    """Kinds of message. A receiver ignores kinds it does not know."""

    HELLO = "hello"
    WELCOME = "welcome"
    REQUEST = "req"
    EVENTS = "evts"
    RESULT = "res"
    ERROR = "err"
    NOTIFICATION = "ntf"
    CANCEL = "cancel"
    CREDIT = "credit"
    PING = "ping"
    PONG = "pong"
    BYE = "bye"


class Header(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The header frame. Unknown fields are ignored."""

    k: str
    """Kind."""
    id: Count | None = None
    """On req, res, err, cancel, credit. Request ids strictly increase per sender; all else refers to one."""
    m: str | None = None
    """Method, on req and ntf."""
    s: Count | None = None
    """On res and err: events sent before this terminal."""
    p: Count | None = None
    """On a req from the engine: id of the host request it serves."""
    ttl: Count | None = None
    """On req: milliseconds left, on the receiver's monotonic clock."""
    idem: str | None = None
    """On req: idempotency key."""
    credit: Count | None = None
    """On req and credit: events the host is ready to take, a delta."""
    n: Count | None = None
    """Nonce of ping and pong."""
