"""What inner rooms may ask of the edge: Protocols that the edge implements and `app.py` hands down."""

from collections.abc import Callable, Mapping
from typing import Protocol


class HostConnection(Protocol):
    """The host at the other end, seen from inside."""

    @property
    def connection_id(self) -> str:
        """Stable for the connection's life; for logs and ownership."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What the host declared in its hello."""

    @property
    def is_debug(self) -> bool:
        """Whether it came through the debug door (`--socket`)."""

    async def request(
        self, method: str, params: Mapping[str, object], *, parent: int | None = None
    ) -> object:
        """Ask the host; returns its result. Raises Unsupported without the capability, or its error."""

    def notify(self, method: str, params: Mapping[str, object]) -> None:
        """Tell the host; never waits."""


class ProcessControl(Protocol):
    """The process as a whole."""

    def shutdown(self, grace_seconds: float) -> None:
        """Begin an orderly end; returns at once."""

    def tap_logs(self, sink: Callable[[Mapping[str, object]], None]) -> Callable[[], None]:
        """Call `sink` with each log record, on the asyncio thread; returns the function that stops it."""

    def tap_frames(self, sink: Callable[[Mapping[str, object]], None]) -> Callable[[], None]:
        """Call `sink` with each message that crosses the transport; returns the function that stops it."""

    def set_log_level(self, level: str) -> None:
        """One of debug, info, warning, error."""


class ChildRegistry(Protocol):
    """Process groups that must not outlive the sidecar."""

    def register(self, process_group: int) -> None:
        """Note a group led by a child of ours: it is killed when the sidecar dies in any way."""

    def release(self, process_group: int) -> None:
        """Forget a group of which nothing is left."""
