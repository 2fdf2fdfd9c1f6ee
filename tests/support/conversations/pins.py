"""What differs from run to run, and from client to client, made the same."""

from typing import Any

from sidecar_protocol.codec import decode, encode_body

NUMBERS = {
    "created": 1_764_000_000,
    "decode_ms": 30.5,
    "prefill_ms": 4.5,
    "queued_ms": 0.5,
    "step_age_ms": 0.5,
    "uptime_ms": 60_000,
}
IDS = {"call_id", "id", "tool_call_id"}
CLIENT = {"name": "client", "version": "0.0.0"}


class Pins:
    """Ids get numbers in the order of their first appearance; all else has one value."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def body(self, body: bytes) -> bytes:
        """An engine's body with fixed values; what has none is not touched."""
        return encode_body(self._pinned(decode(body)))

    def hello(self, body: bytes) -> bytes:
        """A hello of no client in particular."""
        said: Any = decode(body)
        return encode_body({**said, "client": CLIENT})

    def _pinned(self, value: Any) -> Any:
        match value:
            case dict():
                return {key: self._field(key, item) for key, item in value.items()}
            case list():
                return [self._pinned(item) for item in value]
            case _:
                return value

    def _field(self, key: str, value: Any) -> Any:
        if key in NUMBERS:
            return NUMBERS[key]
        if key in IDS and isinstance(value, str):
            kind, dash, _ = value.rpartition("-")
            return self._ids.setdefault(value, f"{kind}{dash}" + f"{len(self._ids) + 1:09}")
        return self._pinned(value)
