"""Bounds on what crosses the wire; advertised in `welcome`, the same in every language."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one connection."""

    message_bytes: int = 16 * 2**20
    """A longer body is refused with `too_large`; the connection lives."""
    frame_bytes: int = 64 * 2**20
    """The transport drops a longer frame unseen; only a hostile peer meets it."""
    depth: int = 64
    """Nesting of arrays and maps."""
    elements: int = 262_144
    """Array items, map keys and map values in one body, counted together."""
    streams: int = 256
    """Open streaming requests of one connection; beyond: `busy`."""
    requests: int = 1024
    """Requests of one connection that run at once, streaming or not; beyond: `busy`."""
    credit: int = 256
    """Events a stream may be ahead of its reader."""
    held_bytes: int = 256 * 2**10
    """Events held back for one stream without credit; beyond: `slow_consumer`."""


LIMITS = Limits()
DEFAULT_CREDIT = 32
MAX_ID = 2**53 - 1
MAX_HEADER_BYTES = 4 * 2**10
MAX_HANDSHAKE_LINE_BYTES = 64 * 2**10
MAX_READY_LINE_BYTES = 4 * 2**10
