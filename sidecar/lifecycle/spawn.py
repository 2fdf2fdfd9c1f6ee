"""What a host and a spawned sidecar say to each other before the first frame: one line each way."""

import json
import os
import sys
from dataclasses import dataclass

import msgspec

from sidecar.config import Settings
from sidecar.errors import InvalidMessage, SidecarError, UnsupportedProtocol
from sidecar.lifecycle.stdin_line import StdinWatch
from sidecar_protocol.errors import ErrorBody
from sidecar_protocol.handshake import ReadyLine, SpawnLine, StartError
from sidecar_protocol.limits import MAX_READY_LINE_BYTES
from sidecar_protocol.version import SUPPORTED_PROTOCOLS

SPAWN_LINE_SECONDS = 30.0
CURVE_KEY_LENGTH = 40
"""Characters of a CURVE key in z85."""


@dataclass(frozen=True, slots=True)
class SpawnRequest:
    """A checked spawn line."""

    protocol: int
    client_key: str
    host_pid: int
    settings: Settings


def take_stdout() -> int:
    """Keep the real stdout for our one line and point descriptor 1 at stderr: no print reaches the host.

    Returns the descriptor to write the line to.
    """
    _open_missing_descriptors()
    if sys.stdout is not None:
        sys.stdout.flush()
    answers = os.dup(1)
    os.set_inheritable(answers, False)
    os.dup2(2, 1)
    return answers


def _open_missing_descriptors() -> None:
    """A socket opened later must not become descriptor 0, 1 or 2 and be read or written as a standard one."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is taken, which is this one: those below it are open.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def read_spawn_line(stdin: StdinWatch, *, timeout: float = SPAWN_LINE_SECONDS) -> SpawnRequest:
    """The host's line, checked. Raises InvalidMessage, UnsupportedProtocol, InvalidParams (options)."""
    line = stdin.first_line(timeout)
    try:
        spawn = msgspec.json.decode(line, type=SpawnLine)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidMessage(
            f"the line on stdin is not a spawn line: {error}; "
            'it is like {"protocols":[1],"client_key":"…","host_pid":1234,"options":{"app_id":"my-app"}}'
        ) from error
    if len(spawn.client_key) != CURVE_KEY_LENGTH:
        raise InvalidMessage(
            f"client_key has {len(spawn.client_key)} characters; "
            f"a CURVE public key in z85 has {CURVE_KEY_LENGTH}"
        )
    if spawn.host_pid < 1:
        raise InvalidMessage(f"host_pid is {spawn.host_pid}; it must be the host's process id")
    common = set(spawn.protocols) & set(SUPPORTED_PROTOCOLS)
    if not common:
        raise UnsupportedProtocol(
            f"the host speaks protocol {spawn.protocols}, this sidecar {list(SUPPORTED_PROTOCOLS)}",
            data={"supported": list(SUPPORTED_PROTOCOLS)},
        )
    return SpawnRequest(max(common), spawn.client_key, spawn.host_pid, Settings.from_options(spawn.options))


def write_ready_line(descriptor: int, ready: ReadyLine) -> None:
    """Tell the host where to connect."""
    _write_line(descriptor, msgspec.json.encode(ready))


def write_start_error(descriptor: int, error: SidecarError) -> None:
    """Tell the host why there will be no ready line."""
    body = ErrorBody(code=error.code, message=error.message, retryable=error.retryable, data=error.data)
    line = msgspec.json.encode(StartError(error=body))
    if len(line) >= MAX_READY_LINE_BYTES:
        short = ErrorBody(code=error.code, message=error.message[: MAX_READY_LINE_BYTES // 8])
        line = json.dumps({"error": msgspec.to_builtins(short)}).encode()
    _write_line(descriptor, line)


def _write_line(descriptor: int, line: bytes) -> None:
    try:
        os.write(descriptor, line + b"\n")
    except BrokenPipeError:
        # The host is gone; its closed stdin ends us.
        pass
    finally:
        os.close(descriptor)
