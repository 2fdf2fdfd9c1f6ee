"""CURVE keys, and the ZAP handler that admits exactly the keys it was given (ZeroMQ RFC 26 and 27)."""

import itertools
from dataclasses import dataclass, field
from typing import Final

import zmq
from zmq.utils import z85

from sidecar.errors import InvalidParams

ZAP_ENDPOINT: Final = "inproc://zeromq.zap.01"
ZAP_DOMAIN: Final = b"llm-sidecar"
_KEY_BYTES: Final = 32
_Z85_LENGTH: Final = 40
_FRAMES_BEFORE_CREDENTIALS: Final = 6


@dataclass(frozen=True, slots=True)
class CurveKeys:
    """A pair of keys in z85, 40 characters each; the secret one is not shown by repr."""

    public: str
    secret: str = field(repr=False)

    @classmethod
    def generate(cls) -> "CurveKeys":
        """A fresh pair."""
        public, secret = zmq.curve_keypair()
        return cls(public.decode("ascii"), secret.decode("ascii"))


def decode_key(text: str) -> bytes:
    """The 32 bytes of a public key. Raises InvalidParams; the message does not repeat the key."""
    try:
        key = z85.decode(text.encode("ascii")) if len(text) == _Z85_LENGTH else b""
    except (KeyError, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise InvalidParams(
            "client_key is no CURVE public key: it must be 40 characters of z85", parameter="client_key"
        )
    return key


class ZapHandler:
    """Answers the transport's question who may connect.

    Each admitted connection gets a User-Id of its own, which its messages carry:
    a host that comes back under the same identity is told from the one before.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", admitted: frozenset[bytes]) -> None:
        self._admitted = admitted
        self._serials = itertools.count(1)
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ZAP_ENDPOINT)

    def answer_all(self) -> None:
        """Answer every question that waits."""
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            self.socket.send_multipart(self._answer(frames))

    def close(self) -> None:
        """Give the socket back."""
        self.socket.close()

    def _answer(self, frames: list[bytes]) -> list[bytes]:
        version, request_id = frames[0], frames[1]
        domain, mechanism = frames[2], frames[5]
        credentials = frames[_FRAMES_BEFORE_CREDENTIALS:]
        known = (
            version == b"1.0"
            and domain == ZAP_DOMAIN
            and mechanism == b"CURVE"
            and len(credentials) == 1
            and credentials[0] in self._admitted
        )
        if known:
            return [version, request_id, b"200", b"OK", str(next(self._serials)).encode(), b""]
        return [version, request_id, b"400", b"this key is not admitted", b"", b""]
