"""Before the first request: the spawn line, the ready line, hello and welcome, the connection file."""

import msgspec

from sidecar_protocol.errors import ErrorBody
from sidecar_protocol.limits import Limits


class SpawnLine(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The one JSON line a host writes to the sidecar's stdin; it then keeps stdin open."""

    protocols: list[int]
    client_key: str
    """The host's CURVE public key, z85."""
    host_pid: int
    options: dict[str, object] = {}


class ReadyLine(msgspec.Struct, kw_only=True):
    """The one JSON line the sidecar prints when it can be connected to."""

    ready: int
    endpoint: str
    server_key: str
    """The sidecar's CURVE public key, z85."""
    protocol: int
    version: str
    boot_id: str
    pid: int


class StartError(msgspec.Struct, kw_only=True):
    """What the sidecar prints instead when it cannot start; it then exits with 2."""

    error: ErrorBody


class ClientInfo(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Who is calling."""

    name: str
    version: str
    language: str = ""


class Hello(msgspec.Struct, kw_only=True):
    """A host's first message."""

    protocols: list[int]
    client: ClientInfo
    capabilities: list[str] = []
    """Engine-to-host requests it answers, e.g. "host.call_tool"."""


class Welcome(msgspec.Struct, kw_only=True):
    """The answer to hello."""

    protocol: int
    boot_id: str
    version: str
    capabilities: list[str]
    limits: Limits
    methods: list[str]


class Bye(msgspec.Struct, kw_only=True):
    """The end of a connection and why."""

    code: str
    message: str


class ConnectionFile(msgspec.Struct, kw_only=True):
    """What `sidecar --socket` leaves for its user's own tools to connect with; valid for this boot alone."""

    endpoint: str
    server_key: str
    client_key: str
    client_secret: str
    boot_id: str
    pid: int
    protocol: int
    version: str
    app_id: str
