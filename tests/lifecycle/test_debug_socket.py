"""A spawned sidecar with a second door, for its user's own tools."""

import asyncio
import json
import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import psutil
import pytest

from sidecar_client import Engine, StartFailed, SyncEngine, errors
from sidecar_client.discovery import find_connection
from tests.support.processes import assert_gone

SIDECAR = [sys.executable, "-m", "sidecar"]
DEADLINE_SECONDS = 60


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """A runtime folder of the test's own, for the sidecar, this process and commands."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("NO_COLOR", "1")
    return dict(os.environ)


def options(debug_socket: object) -> dict[str, object]:
    return {"executor": "scripted", "debug_socket": debug_socket}


def spawn(debug_socket: object) -> AbstractAsyncContextManager[Engine]:
    return Engine.spawn(SIDECAR, app_id="tests", options=options(debug_socket), restart=None)


def say(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.fixture
async def host(environment: Mapping[str, str]) -> AsyncIterator[Engine]:
    async with spawn(True) as engine:
        yield engine


def files(environment: Mapping[str, str]) -> list[Path]:
    return list(Path(environment["XDG_RUNTIME_DIR"]).glob("*/*.json"))


@contextmanager
def killed(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Whatever happens inside, nobody waits for the process for ever."""
    try:
        yield
    finally:
        process.kill()


async def test_its_file_is_the_users_alone_and_ends_with_it(environment: Mapping[str, str]) -> None:
    async with spawn(True) as host:
        (path,) = files(environment)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        connection = find_connection()
        assert (connection.pid, connection.boot_id) == (host.pid, host.welcome.boot_id)
        assert (connection.app_id, path.stem) == ("tests", connection.boot_id)
    assert files(environment) == []


async def test_several_attach_and_may_watch_what_the_host_says(host: Engine) -> None:
    async with Engine.connect() as first, Engine.connect() as second:
        assert "engine.watch" in first.welcome.methods
        assert "engine.watch" not in host.welcome.methods
        watch = second.watch()
        # Answered after the watch has begun.
        await second.ping()
        assert (await first.info()).pid == host.pid
        completion = await host.chat.create(messages=say("count 3"))
        assert completion.choices[0].message.content == "1 2 3"
        seen: set[tuple[str, object]] = set()
        async for frame in watch:
            seen.add((frame.connection, frame.header.get("m")))
            if frame.header.get("m") == "chat.create":
                break
        assert {("d1", "engine.info"), ("c1", "chat.create")} <= seen
        assert (await first.stats()).connections == 3
        with pytest.raises(errors.Unauthorized):
            await host.watch().result()


async def test_debug_connections_come_and_go_and_the_host_stays_the_only_one(host: Engine) -> None:
    for _ in range(3):
        async with Engine.connect() as attached:
            assert (await attached.ping()).phase
    assert (await host.ping()).phase
    assert (await host.stats()).connections == 1


async def test_each_door_has_keys_of_its_own(host: Engine, environment: Mapping[str, str]) -> None:
    """The debug door's key does not open the host's door, and what was read from another boot opens none."""
    (path,) = files(environment)
    connection = find_connection(path)
    async with spawn(True):
        others = [find_connection(file) for file in files(environment) if file != path]
        wrong = path.with_name("wrong.json")
        content = {**json.loads(path.read_bytes()), "endpoint": others[0].endpoint}
        wrong.touch(mode=0o600)
        wrong.write_text(json.dumps(content))
        assert connection.client_key != others[0].client_key
        with pytest.raises(StartFailed):
            async with Engine.connect(wrong, handshake_timeout=1.0):
                pass


async def test_it_ends_when_a_debug_connection_asks_for_it(host: Engine) -> None:
    process = psutil.Process(host.pid)
    async with Engine.connect() as attached:
        await attached.call("engine.shutdown")
    await asyncio.to_thread(assert_gone, [process])


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_the_address_may_be_chosen(environment: Mapping[str, str], tmp_path: Path, kind: str) -> None:
    path = tmp_path / "sidecar.sock"
    async with spawn("tcp://127.0.0.1:*" if kind == "tcp" else str(path)), Engine.connect() as attached:
        assert attached.welcome.boot_id
        connection = find_connection()
        assert connection.endpoint.startswith("tcp://127.0.0.1:" if kind == "tcp" else f"ipc://{path}")
        if kind == "unix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("address", "code", "says"),
    [
        (7, "invalid_params", "options.debug_socket is 7"),
        ("relative.sock", "invalid_params", "absolute path"),
        ("tcp://0.0.0.0:*", "invalid_params", "tcp://127.0.0.1:PORT"),
        ("/nowhere/at/all.sock", "conflict", "cannot listen"),
    ],
)
async def test_an_address_that_cannot_be_is_refused_with_a_reason(
    environment: Mapping[str, str], address: object, code: str, says: str
) -> None:
    with pytest.raises(StartFailed, match=says) as caught:
        async with spawn(address):
            pass
    assert caught.value.code == code
    assert files(environment) == []


async def test_a_folder_that_cannot_be_written_is_told(environment: Mapping[str, str]) -> None:
    (Path(environment["XDG_RUNTIME_DIR"]) / "llm-sidecar").touch()
    with pytest.raises(StartFailed, match="connection file cannot be written") as caught:
        async with spawn(True):
            pass
    assert caught.value.code == "permission_denied"


def test_commands_find_it_by_themselves(environment: Mapping[str, str]) -> None:
    with SyncEngine.spawn(SIDECAR, app_id="tests", options=options(True), restart=None) as host:
        called = subprocess.run(
            [*SIDECAR, "call", "engine.info"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=True,
        )
        assert json.loads(called.stdout)["pid"] == host.pid
        watching = subprocess.Popen(
            [*SIDECAR, "watch", "--method", "engine.ping"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with watching, killed(watching):
            assert watching.stderr is not None
            assert watching.stdout is not None
            assert host.welcome.boot_id in watching.stderr.readline()
            # It watches soon after it has said so.
            while not select.select([watching.stdout], [], [], 0.1)[0]:
                host.ping()
            assert watching.stdout.readline().split()[1:4] == ["c1", "→", "req"]
            watching.send_signal(signal.SIGINT)
            watching.communicate(timeout=DEADLINE_SECONDS)
            assert watching.returncode == 0
