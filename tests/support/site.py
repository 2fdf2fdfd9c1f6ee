"""A hub, what its handlers do, and hosts that connect to it."""

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.transport.frame_tap import FrameTap
from sidecar.transport.hub import Hub
from sidecar.transport.zeromq import ZeroMQServer
from tests.support.raw_host import RawHost
from tests.support.stage import Stage


@dataclass
class Site:
    """A hub and whatever serves it; `host` connects another raw host."""

    hub: Hub
    stage: Stage
    tap: FrameTap
    host: Callable[..., RawHost]
    server: ZeroMQServer | None = None
    keys: tuple[bytes, bytes] | None = None


Build = Callable[..., Site]
