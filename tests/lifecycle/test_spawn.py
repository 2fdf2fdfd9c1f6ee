"""The spawn line checked, and the answer on a stdout that nothing else can write to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.errors import InvalidMessage, InvalidParams, SidecarError, UnsupportedProtocol
from sidecar.lifecycle.spawn import SpawnRequest, read_spawn_line, write_start_error
from sidecar.lifecycle.stdin_line import StdinWatch
from sidecar_protocol.limits import MAX_HANDSHAKE_LINE_BYTES, MAX_READY_LINE_BYTES

GOOD = {"protocols": [1], "client_key": "k" * 40, "host_pid": 7, "options": {"app_id": "a"}}


def read(line: bytes) -> SpawnRequest:
    reader, writer = os.pipe()
    try:
        watch = StdinWatch(reader, limit=MAX_HANDSHAKE_LINE_BYTES)
        os.write(writer, line + b"\n")
        return read_spawn_line(watch, timeout=5)
    finally:
        os.close(writer)


def test_a_good_line_is_understood() -> None:
    request = read(json.dumps({**GOOD, "protocols": [9, 1]}).encode())
    assert (request.protocol, request.client_key, request.host_pid) == (1, "k" * 40, 7)
    assert request.settings.app_id == "a"


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        (b"not json", InvalidMessage, "not a spawn line"),
        (b"\xff\xfe", InvalidMessage, "not a spawn line"),
        (b"[]", InvalidMessage, "Expected `object`"),
        (json.dumps({**GOOD, "extra": 1}).encode(), InvalidMessage, "unknown field `extra`"),
        (json.dumps({**GOOD, "client_key": "short"}).encode(), InvalidMessage, "client_key has 5 characters"),
        (json.dumps({**GOOD, "host_pid": 0}).encode(), InvalidMessage, "host_pid is 0"),
        (
            json.dumps({**GOOD, "protocols": [2, 3]}).encode(),
            UnsupportedProtocol,
            r"speaks protocol \[2, 3\]",
        ),
        (json.dumps({**GOOD, "options": {}}).encode(), InvalidParams, "app_id"),
        (json.dumps({**GOOD, "options": {"app_id": "a", "theads": 2}}).encode(), InvalidParams, "'threads'"),
    ],
)
def test_a_bad_line_is_told_what_is_wrong(line: bytes, error: type[SidecarError], says: str) -> None:
    with pytest.raises(error, match=says):
        read(line)


def test_an_error_line_fits_its_limit_whatever_the_host_sent() -> None:
    reader, writer = os.pipe()
    write_start_error(writer, InvalidParams("é" * 5000, parameter="x" * 5000))
    line = os.read(reader, 2 * MAX_READY_LINE_BYTES)
    os.close(reader)
    assert len(line) <= MAX_READY_LINE_BYTES
    assert json.loads(line)["error"]["code"] == "invalid_params"


def test_nothing_that_is_printed_reaches_the_host() -> None:
    program = (
        "import os\n"
        "from sidecar.lifecycle.spawn import take_stdout\n"
        "answers = take_stdout()\n"
        "print('a library talks', flush=True)\n"
        "os.system('echo so does a child')\n"
        "os.write(answers, b'the line')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, timeout=60, cwd=Path.cwd()
    )
    assert done.stdout == b"the line"
    assert b"a library talks" in done.stderr
    assert b"so does a child" in done.stderr
