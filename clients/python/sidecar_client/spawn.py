"""Starting an engine: the spawn line in, the ready line out, every refusal explained."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import zmq

from sidecar_client.channel import Door
from sidecar_client.errors import StartFailed
from sidecar_client.process import SidecarProcess
from sidecar_protocol.handshake import ReadyLine, SpawnLine, StartError
from sidecar_protocol.limits import MAX_READY_LINE_BYTES
from sidecar_protocol.version import SUPPORTED_PROTOCOLS

_LAST_WORDS_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnPlan:
    """How to start an engine."""

    command: Sequence[str]
    options: Mapping[str, object]
    handshake_timeout: float
    """Seconds for the process to be ready, and again for the connection."""
    environment: Mapping[str, str] = field(repr=False)
    on_log: Callable[[str], None] | None = None


async def start_process(plan: SpawnPlan) -> tuple[SidecarProcess, Door]:
    """Start it and wait until it can be connected to. Raises StartFailed; then nothing is left running."""
    client_key, client_secret = (key.decode() for key in zmq.curve_keypair())
    line = SpawnLine(
        protocols=list(SUPPORTED_PROTOCOLS),
        client_key=client_key,
        host_pid=os.getpid(),
        options=dict(plan.options),
    )
    try:
        spawn_line = msgspec.json.encode(line)
    except TypeError as error:
        raise StartFailed(f"options cannot be written as JSON: {error}") from error
    process = SidecarProcess(plan.command, spawn_line, environment=plan.environment, on_log=plan.on_log)
    try:
        ready = await _ready_line(process, plan.handshake_timeout)
    except BaseException:
        process.kill()
        await process.exited.wait()
        raise
    return process, Door(ready.endpoint, ready.server_key, client_key, client_secret)


def describe_exit(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


async def _ready_line(process: SidecarProcess, timeout_seconds: float) -> ReadyLine:
    try:
        async with asyncio.timeout(timeout_seconds):
            line = await process.first_line()
    except TimeoutError:
        raise StartFailed(
            f"the engine was not ready within {timeout_seconds:g} s", stderr_tail=process.stderr_tail
        ) from None
    if not line:
        raise await exited_before_ready(process)
    if len(line) > MAX_READY_LINE_BYTES:
        raise StartFailed(
            f"the ready line is longer than {MAX_READY_LINE_BYTES} bytes", stderr_tail=process.stderr_tail
        )
    return _parse_ready_line(line, process)


def _parse_ready_line(line: bytes, process: SidecarProcess) -> ReadyLine:
    try:
        content = msgspec.json.decode(line)
        if isinstance(content, dict) and "error" in content:
            refusal = msgspec.convert(content, StartError).error
            raise StartFailed(
                f"the engine refused to start: {refusal.message}",
                code=refusal.code,
                data=refusal.data,
                stderr_tail=process.stderr_tail,
            )
        ready = msgspec.convert(content, ReadyLine)
    except msgspec.DecodeError as error:
        raise StartFailed(
            f"the first line of the program's output is no ready line ({error}): {line[:200]!r}",
            stderr_tail=process.stderr_tail,
        ) from error
    if ready.protocol not in SUPPORTED_PROTOCOLS:
        raise StartFailed(
            f"the engine (version {ready.version}) speaks protocol {ready.protocol}, this client "
            f"{', '.join(map(str, SUPPORTED_PROTOCOLS))}; install the same release of both",
            code="unsupported_protocol",
        )
    return ready


async def exited_before_ready(process: SidecarProcess) -> StartFailed:
    """Why a process that ended too early is no engine."""
    await process.wait(_LAST_WORDS_SECONDS)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_SECONDS):
            await process.stderr_ended.wait()
    status = process.exit_status
    ending = describe_exit(status) if status is not None else "closed its output"
    last = f": {process.stderr_tail[-1][:300]}" if process.stderr_tail else ""
    return StartFailed(
        f"the engine {ending} before it was ready{last}",
        exit_status=status,
        stderr_tail=process.stderr_tail,
    )
