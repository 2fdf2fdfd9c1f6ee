"""What must not outlive the sidecar does not, however the sidecar ends."""

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import psutil
import pytest

from sidecar.lifecycle.guard import MAX_RESTARTS, Guard
from sidecar.lifecycle.guard_process import UNKNOWN_START, end_groups, read_groups, start_of
from sidecar_client import Engine
from tests.support.guarded_sidecar import TREE_SIZE, start_tree, tree_in
from tests.support.processes import assert_gone

GUARDED = [sys.executable, "-m", "tests.support.guarded_sidecar"]
GONE_SECONDS = 2.0
DEADLINE_SECONDS = 30.0


def guards_of(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if child.cmdline()[-1:] == ["--guard"]]


@pytest.fixture
def guard() -> Iterator[Guard]:
    guard = Guard()
    yield guard
    guard.close()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    process = start_tree(tmp_path)
    members = tree_in(tmp_path)
    yield process
    for member in members:
        if member.is_running():
            member.kill()
    process.wait()


# --- the whole sidecar


def spawned(folder: Path, *arguments: str) -> AbstractAsyncContextManager[Engine]:
    return Engine.spawn(
        [*GUARDED, *arguments], app_id="tests", options={"data_dir": str(folder)}, restart=None
    )


@pytest.mark.parametrize("arguments", [(), ("stubborn",)])
async def test_a_killed_sidecar_leaves_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    async with spawned(tmp_path, *arguments) as engine:
        assert engine.pid is not None
        everything = [*tree_in(tmp_path), *guards_of(engine.pid)]
        assert len(everything) == TREE_SIZE + 1
        os.kill(engine.pid, signal.SIGKILL)
        await asyncio.to_thread(assert_gone, everything)


async def test_a_client_that_kills_the_process_group_does_not_meet_the_guard(tmp_path: Path) -> None:
    async with spawned(tmp_path) as engine:
        assert engine.pid is not None
        everything = [*tree_in(tmp_path), *guards_of(engine.pid)]
        os.killpg(engine.pid, signal.SIGKILL)
        await asyncio.to_thread(assert_gone, everything)


async def test_an_orderly_end_leaves_nothing(tmp_path: Path) -> None:
    async with spawned(tmp_path) as engine:
        assert engine.pid is not None
        everything = [psutil.Process(engine.pid), *tree_in(tmp_path), *guards_of(engine.pid)]
    await asyncio.to_thread(assert_gone, everything)


def test_a_killed_host_leaves_nothing(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from sidecar_client import SyncEngine\n"
        "options = {'data_dir': sys.argv[1]}\n"
        "with SyncEngine.spawn(sys.argv[2:], app_id='tests', options=options) as engine:\n"
        "    print(engine.pid, flush=True)\n"
        "    input()\n"
    )
    host = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), *GUARDED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with host:
        assert host.stdout is not None
        sidecar = psutil.Process(int(host.stdout.readline()))
        everything = [sidecar, *sidecar.children(recursive=True)]
        assert len(everything) == TREE_SIZE + 2
        host.kill()
        assert_gone(everything)


async def test_a_killed_guard_is_replaced_and_the_next_one_knows_the_group(tmp_path: Path) -> None:
    logs: asyncio.Queue[str] = asyncio.Queue()
    opening = Engine.spawn(
        GUARDED,
        app_id="tests",
        options={"data_dir": str(tmp_path)},
        restart=None,
        on_log=logs.put_nowait,
    )
    async with opening as engine:
        assert engine.pid is not None
        tree = tree_in(tmp_path)
        (first,) = guards_of(engine.pid)
        first.kill()
        async with asyncio.timeout(DEADLINE_SECONDS):
            while "another is started" not in await logs.get():
                pass
            # The log line comes before the new process.
            while not (guards := guards_of(engine.pid)):
                await engine.ping()
        assert len(guards) == 1
        assert not psutil.pid_exists(first.pid)
        os.kill(engine.pid, signal.SIGKILL)
        await asyncio.to_thread(assert_gone, [*tree, *guards])


# --- our side of it


def test_there_is_a_guard_while_there_is_something_to_guard(
    guard: Guard, tree: "subprocess.Popen[bytes]"
) -> None:
    assert guards_of(os.getpid()) == []
    guard.register(tree.pid)
    assert guard.pid is not None
    first = psutil.Process(guard.pid)
    assert os.getsid(first.pid) == first.pid
    assert guards_of(os.getpid()) == [first]
    guard.release(tree.pid)
    assert_gone([first])
    assert tree.poll() is None
    guard.register(tree.pid)
    assert guard.pid not in (None, first.pid)


def test_closing_ends_what_is_left_and_leaves_no_zombie(
    guard: Guard, tree: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    members = tree_in(tmp_path)
    guard.register(tree.pid)
    assert guard.pid is not None
    pid = guard.pid
    guard.close()
    assert not psutil.pid_exists(pid)
    assert tree.wait(GONE_SECONDS) == -signal.SIGTERM
    assert_gone(members)
    guard.close()


def test_a_released_group_is_left_alone(
    guard: Guard, tree: "subprocess.Popen[bytes]", tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = start_tree(tmp_path_factory.mktemp("other"))
    guard.register(tree.pid)
    guard.register(other.pid)
    guard.release(tree.pid)
    guard.release(tree.pid)
    guard.close()
    assert other.wait(GONE_SECONDS) == -signal.SIGTERM
    assert tree.poll() is None


def test_a_guard_that_is_stopped_is_no_reason_to_wait(
    guard: Guard, tree: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    guard.register(tree.pid)
    assert guard.pid is not None
    stopped = psutil.Process(guard.pid)
    stopped.send_signal(signal.SIGSTOP)
    guard.close()
    assert not stopped.is_running()


def test_a_guard_that_always_ends_is_reported_in_the_end(
    tree: "subprocess.Popen[bytes]", caplog: pytest.LogCaptureFixture
) -> None:
    reported = threading.Event()

    class Reports(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno == logging.ERROR:
                reported.set()

    handler = Reports()
    logging.getLogger("sidecar.lifecycle.guard").addHandler(handler)
    guard = Guard([sys.executable, "-c", ""])
    try:
        guard.register(tree.pid)
        assert reported.wait(DEADLINE_SECONDS)
    finally:
        logging.getLogger("sidecar.lifecycle.guard").removeHandler(handler)
        guard.close()
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING"] * MAX_RESTARTS + ["ERROR"]
    assert str(tree.pid) in caplog.text


def test_a_guard_that_cannot_be_started_is_reported(
    tree: "subprocess.Popen[bytes]", caplog: pytest.LogCaptureFixture
) -> None:
    guard = Guard(["/nowhere/guard"])
    guard.register(tree.pid)
    guard.release(tree.pid)
    guard.close()
    assert re.search(f"cannot be started.*process groups {tree.pid}", caplog.text)


@pytest.mark.parametrize("group", [os.getpgrp, lambda: 0, lambda: 1, lambda: -5])
def test_a_group_that_would_take_others_with_it_is_refused(guard: Guard, group: Callable[[], int]) -> None:
    with pytest.raises(ValueError, match="no process group of a child"):
        guard.register(group())
    assert guard.pid is None


# --- the guard's own side


def test_groups_are_read_however_the_lines_are_cut() -> None:
    reader, writer = os.pipe()
    for piece in (b"add 11 77\nad", b"d 12 78\nremove 11", b"\nremove 99\nadd 13 -\nadd 1"):
        os.write(writer, piece)
    os.close(writer)
    assert read_groups(reader) == {12: "78", 13: "-"}
    os.close(reader)


def test_a_reused_id_is_somebody_elses(tree: "subprocess.Popen[bytes]") -> None:
    """The group's id belongs to a process that was not started when the registered one was."""
    assert start_of(tree.pid).isdecimal()
    end_groups({tree.pid: str(int(start_of(tree.pid)) - 1)})
    end_groups({tree.pid: UNKNOWN_START})
    assert tree.poll() is None


def test_a_group_whose_leader_is_gone_is_ended(tree: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    members = tree_in(tmp_path)
    start = start_of(tree.pid)
    tree.kill()
    assert start_of(tree.pid) == start
    tree.wait()
    assert start_of(tree.pid) == UNKNOWN_START
    assert members[1].is_running()
    end_groups({tree.pid: start})
    assert_gone(members)
    end_groups({tree.pid: start})


def test_it_imports_next_to_nothing_and_is_small() -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-P", "-m", "sidecar", "--guard"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write("add 1 1\nremove 1\n")
        _, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in errors.splitlines()}
    assert "sidecar.lifecycle.guard_process" in imported
    ours = {name for name in imported if name.startswith("sidecar")}
    assert ours <= {"sidecar", "sidecar.lifecycle", "sidecar.lifecycle.guard_process"}
    assert not imported & {"typing", "pathlib", "subprocess", "logging", "json", "asyncio", "psutil"}
