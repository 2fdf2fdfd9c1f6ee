"""What a transport offers a connection. It knows peers and frames, not what the frames say."""

from typing import Protocol


class Link(Protocol):
    """The way to one peer."""

    def send(self, header: bytes, body: bytes) -> bool:
        """Hand over one message; never waits. False when the peer is gone or has left too much unread."""

    def close(self) -> None:
        """Forget the peer; what was handed over still goes out, nothing more is received from it."""
