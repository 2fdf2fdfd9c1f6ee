"""What all connections of one hub have in common."""

import asyncio
from dataclasses import dataclass, field

from sidecar.service.dispatcher import Dispatcher
from sidecar.transport.frame_tap import FrameTap
from sidecar_protocol.base import Result
from sidecar_protocol.errors import ErrorBody
from sidecar_protocol.limits import LIMITS, Limits

RequestTask = asyncio.Task[Result | ErrorBody]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Given by whoever builds the hub; read by its connections."""

    dispatcher: Dispatcher
    boot_id: str
    version: str
    limits: Limits = LIMITS
    debug: bool = False
    """Whether connections come through the debug door (`--socket`)."""
    frame_tap: FrameTap = field(default_factory=FrameTap)
    tasks: set[RequestTask] = field(default_factory=set)
    """Requests of all connections that have not ended, those of lost connections included."""
