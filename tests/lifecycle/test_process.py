"""The whole process, as a host meets it: started, refused, watched, ended."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from sidecar.transport.curve import CurveKeys
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.handshake import ReadyLine
from sidecar_protocol.limits import MAX_READY_LINE_BYTES
from tests.support.raw_host import RawHost, ZeroMQChannel

COMMAND = [sys.executable, "-m", "sidecar"]
HEAVY = {"torch", "numpy", "mcp", "pydantic", "rich", "jinja2", "tokenizers"}
KEYS = CurveKeys.generate()
GONE_SECONDS = 2.0
START_SECONDS = 30.0

Process = subprocess.Popen[bytes]
Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a sidecar with piped stdin, stdout and stderr; whatever is left at the end is killed."""
    processes: list[Process] = []

    def make(command: list[str] = COMMAND, **popen: object) -> Process:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, **{**pipes, **popen}))
        return processes[-1]

    yield make
    for process in processes:
        process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()


def spawn_line(**fields: object) -> bytes:
    line = {
        "protocols": [1],
        "client_key": KEYS.public,
        "host_pid": os.getpid(),
        "options": {"app_id": "tests", "log_level": "debug"},
    }
    return json.dumps({**line, **fields}).encode() + b"\n"


def ready_line(process: Process, line: bytes | None = None) -> ReadyLine:
    """Give the sidecar its line and read its own."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line or spawn_line())
    process.stdin.flush()
    answer = process.stdout.readline()
    assert len(answer) <= MAX_READY_LINE_BYTES
    return msgspec.json.decode(answer, type=ReadyLine)


async def connected(ready: ReadyLine) -> RawHost:
    keys = (KEYS.public.encode(), KEYS.secret.encode())
    host = RawHost(ZeroMQChannel(ready.endpoint, ready.server_key, keys))
    header, _ = await host.hello()
    assert header.k == Kind.WELCOME
    return host


def refusal(process: Process, stdin: bytes) -> dict[str, object]:
    """The error line of a sidecar that does not start, and its exit status 2."""
    stdout, _ = process.communicate(stdin, timeout=START_SECONDS)
    assert process.returncode == 2
    (line,) = stdout.splitlines()
    error = json.loads(line)["error"]
    assert isinstance(error, dict)
    return error


def test_a_ready_line_comes_quickly_and_before_anything_heavy_is_imported(start: Start) -> None:
    process = start([sys.executable, "-X", "importtime", "-m", "sidecar"])
    before = time.monotonic()
    ready = ready_line(process)
    assert time.monotonic() - before < 5
    assert (ready.ready, ready.protocol, ready.pid) == (1, 1, process.pid)
    assert ready.endpoint.startswith("tcp://127.0.0.1:")
    stdout, stderr = process.communicate(timeout=START_SECONDS)
    assert stdout == b""
    imported = {
        line.rpartition("|")[2].strip().split(".")[0]
        for line in stderr.decode().splitlines()
        if line.startswith("import time:")
    }
    assert "msgspec" in imported
    assert not imported & HEAVY


@pytest.mark.parametrize(
    ("stdin", "code", "says"),
    [
        (b"", "invalid_message", "closed"),
        (b"garbage\n", "invalid_message", "spawn line"),
        (b"\xff" * 100_000, "invalid_message", "longer"),
        (spawn_line(protocols=[7]), "unsupported_protocol", "7"),
        (spawn_line(options={}), "invalid_params", "app_id"),
        (spawn_line(options={"app_id": "a", "log_levle": "x"}), "invalid_params", "log_level"),
        (spawn_line(client_key="\\" * 40), "invalid_params", "z85"),
    ],
)
def test_what_cannot_be_started_is_told_why(start: Start, stdin: bytes, code: str, says: str) -> None:
    error = refusal(start(), stdin)
    assert error["code"] == code
    assert says in str(error["message"])


def test_on_a_terminal_it_shows_how_to_use_it_and_does_not_hang(start: Start) -> None:
    controller, terminal = pty.openpty()
    try:
        process = start(stdin=terminal)
        stdout, stderr = process.communicate(timeout=START_SECONDS)
    finally:
        os.close(terminal)
        os.close(controller)
    assert process.returncode == 2
    assert stdout == b""
    assert b"usage" in stderr.lower()


def test_it_ends_when_stdin_is_closed(start: Start) -> None:
    process = start()
    ready_line(process)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(GONE_SECONDS) == 0


def test_it_ends_when_the_hosts_process_is_killed_though_stdin_stays_open(start: Start) -> None:
    host = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = start()
    ready_line(process, spawn_line(host_pid=host.pid))
    assert process.poll() is None
    host.kill()
    host.communicate()
    assert process.wait(GONE_SECONDS) == 0


async def test_it_ends_with_its_host_while_a_host_is_connected(start: Start) -> None:
    """The import of what models run on, which begins at the welcome, must not keep it."""
    process = start()
    host = await connected(ready_line(process))
    assert process.stdin is not None
    process.stdin.close()
    header, body = await host.receive()
    assert (header.k, body["code"]) == (Kind.BYE, "shutting_down")
    host.channel.close()
    assert await asyncio.to_thread(process.wait, GONE_SECONDS) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order(start: Start, number: signal.Signals) -> None:
    process = start()
    host = await connected(ready_line(process))
    await host.request(1, "engine.logs", {"stream": True})
    await host.round_trip()
    process.send_signal(number)
    assert (await host.terminal(1))[1]["code"] == "shutting_down"
    assert (await host.receive())[0].k == Kind.BYE
    host.channel.close()
    assert await asyncio.to_thread(process.wait, 10) == 0


async def test_engine_shutdown_ends_it_in_order(start: Start) -> None:
    process = start()
    host = await connected(ready_line(process))
    await host.request(1, "engine.shutdown")
    assert (await host.terminal(1))[0] == Header(k=Kind.RESULT, id=1, s=0)
    assert (await host.receive())[0].k == Kind.BYE
    host.channel.close()
    assert await asyncio.to_thread(process.wait, 10) == 0


async def test_a_host_that_does_not_read_stderr_stalls_nothing(start: Start) -> None:
    process = start()
    host = await connected(ready_line(process))
    for _ in range(3000):
        await host.send(Header(k="unknown" * 10))
    await host.request(1, "engine.ping")
    assert (await host.terminal(1))[0].k == Kind.RESULT
    host.channel.close()
    assert process.stdin is not None
    process.stdin.close()
    assert await asyncio.to_thread(process.wait, GONE_SECONDS) == 0


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
async def test_without_a_usable_stderr_it_serves_all_the_same(start: Start, redirection: str) -> None:
    process = start(["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND])
    host = await connected(ready_line(process))
    await host.send(Header(k="unknown"))
    await host.request(1, "engine.ping")
    assert (await host.terminal(1))[0].k == Kind.RESULT
    host.channel.close()


def test_without_stdin_or_stdout_it_does_not_hang(start: Start) -> None:
    closed = start(["/bin/sh", "-c", 'exec "$@" <&-', "sh", *COMMAND])
    assert refusal(closed, b"")["code"] == "invalid_message"
    mute = start(["/bin/sh", "-c", 'exec "$@" >&-', "sh", *COMMAND])
    mute.communicate(spawn_line(), timeout=START_SECONDS)
    assert mute.returncode == 0


async def test_a_stopped_sidecar_goes_on_where_it_was(start: Start) -> None:
    process = start()
    host = await connected(ready_line(process))
    process.send_signal(signal.SIGSTOP)
    await host.request(1, "engine.ping")
    await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    process.send_signal(signal.SIGCONT)
    assert (await host.terminal(1))[0].k == Kind.RESULT
    host.channel.close()


async def test_nothing_but_loopback_is_listened_on_and_no_child_is_left(start: Start) -> None:
    process = start()
    host = await connected(ready_line(process))
    listening = [
        entry.laddr.ip
        for entry in psutil.Process(process.pid).net_connections()
        if entry.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]
    assert psutil.Process(process.pid).children() == []
    host.channel.close()
