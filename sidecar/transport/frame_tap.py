"""Lets a debug connection watch the messages that cross the transport.

A watch stream's own messages are never shown: each would make the next. Secrets
are not shown either, and long or deep bodies are cut.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from sidecar_protocol.codec import decode
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.errors import ProtocolError

FrameSink = Callable[[Mapping[str, object]], None]

WATCH_METHOD: Final = "engine.watch"
_SHOWN_BODY_BYTES: Final = 64 * 2**10
_SHOWN_TEXT: Final = 256
_SHOWN_ITEMS: Final = 32
_SHOWN_DEPTH: Final = 32
"""Below the protocol's limit, since the event around the body nests, too."""
_SECRET_METHODS: Final = "host.secret"
_SECRET_KEYS: Final = frozenset(
    {
        "access_token",
        "api_key",
        "authorization",
        "client_key",
        "client_secret",
        "headers",
        "password",
        "refresh_token",
        "secret",
    }
)
_HIDDEN: Final = "(not shown)"


class FrameTap:
    """Passes each message to the sinks that asked for it, as the fields of FrameEvent."""

    def __init__(self) -> None:
        self._sinks: list[FrameSink] = []

    @property
    def active(self) -> bool:
        """Whether anyone watches; nobody needs to call `show` otherwise."""
        return bool(self._sinks)

    def add(self, sink: FrameSink) -> Callable[[], None]:
        """Call `sink` with each message from now on; returns the function that stops it."""

        def stop() -> None:
            if sink in self._sinks:
                self._sinks.remove(sink)

        self._sinks.append(sink)
        return stop

    def show(
        self,
        direction: Literal["in", "out"],
        connection: str,
        header: Header,
        body: bytes,
        *,
        method: str | None,
        is_watch: Callable[[int], bool],
    ) -> None:
        """Show one message of the request whose method is `method`; `is_watch` tells watch streams' ids."""
        if method == WATCH_METHOD:
            return
        shown = _shown_body(header, body, method)
        if header.k == Kind.EVENTS and isinstance(shown, list):
            ours = [entry for entry in shown if not _is_about_watch(entry, is_watch)]
            if shown and not ours:
                return
            shown = ours
        frame = {
            "direction": direction,
            "connection": connection,
            "time": time.time(),
            "header": msgspec.to_builtins(header),
            "body": shorten(shown),
            "body_bytes": len(body),
        }
        for sink in tuple(self._sinks):
            sink(frame)


def _is_about_watch(entry: object, is_watch: Callable[[int], bool]) -> bool:
    """Whether an entry of `evts` is a watch stream's; a host may make up entries of any shape."""
    match entry:
        case [int(request_id), *_]:
            return is_watch(request_id)
        case _:
            return False


def _shown_body(header: Header, body: bytes, method: str | None) -> object:
    if (method or "").startswith(_SECRET_METHODS):
        return _HIDDEN
    if len(body) > _SHOWN_BODY_BYTES and header.k != Kind.EVENTS:
        return f"({len(body)} bytes)"
    try:
        return decode(body)
    except ProtocolError as error:
        return f"(unreadable: {error.message})"


def shorten(value: object, depth: int = _SHOWN_DEPTH) -> object:
    """The value with secrets hidden, long texts cut, long lists ended early and deep ones at `depth`."""
    match value:
        case dict() | list() if depth == 0:
            return "…"
        case str() if len(value) > _SHOWN_TEXT:
            return f"{value[:_SHOWN_TEXT]}… ({len(value)} characters)"
        case bytes():
            return f"({len(value)} bytes)"
        case dict():
            entries = list(value.items())[:_SHOWN_ITEMS]
            shown = {
                key: _HIDDEN if str(key).lower() in _SECRET_KEYS else shorten(item, depth - 1)
                for key, item in entries
            }
            if len(value) > _SHOWN_ITEMS:
                shown["…"] = f"{len(value) - _SHOWN_ITEMS} more"
            return shown
        case list():
            items = [shorten(item, depth - 1) for item in value[:_SHOWN_ITEMS]]
            return items if len(value) <= _SHOWN_ITEMS else [*items, f"… {len(value) - _SHOWN_ITEMS} more"]
        case _:
            return value
