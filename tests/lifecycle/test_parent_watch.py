"""A host is gone when its process or its end of our stdin is; it is not gone for being silent."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from sidecar.lifecycle.parent_watch import ParentWatch
from sidecar.lifecycle.stdin_line import StdinWatch


def watch_host(pid: int, stdin: StdinWatch, gone: Callable[[str], None]) -> ParentWatch:
    """A watch that leaves the process of the tests alone."""
    return ParentWatch(pid, stdin, gone, leave=lambda: None)


@pytest.fixture
def host() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def stdin() -> Iterator[tuple[StdinWatch, int]]:
    reader, writer = os.pipe()
    yield StdinWatch(reader, limit=10), writer
    try:
        os.close(writer)
    except OSError:
        return


def no_such_device(pid: int, flags: int = 0) -> int:
    """What a kernel without process descriptors answers."""
    raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))


@pytest.mark.parametrize("with_pidfd", [True, False])
async def test_a_killed_host_is_noticed(
    host: subprocess.Popen[bytes],
    stdin: tuple[StdinWatch, int],
    monkeypatch: pytest.MonkeyPatch,
    with_pidfd: bool,
) -> None:
    if not with_pidfd:
        monkeypatch.setattr(os, "pidfd_open", no_such_device, raising=False)
    gone: asyncio.Queue[str] = asyncio.Queue()
    watch = watch_host(host.pid, stdin[0], gone.put_nowait)
    watch.start()
    host.send_signal(signal.SIGSTOP)
    host.send_signal(signal.SIGCONT)
    await asyncio.sleep(0)
    assert gone.empty()
    host.kill()
    host.wait()
    assert await asyncio.wait_for(gone.get(), 5) == "the host's process has ended"
    os.close(stdin[1])
    await asyncio.sleep(0)
    assert gone.empty()


@pytest.fixture
def dead_pid() -> int:
    program = "import os; print(os.getpid())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return int(done.stdout)


async def test_a_host_that_ended_before_the_watch_began_is_gone(
    stdin: tuple[StdinWatch, int], dead_pid: int
) -> None:
    gone: asyncio.Queue[str] = asyncio.Queue()
    watch_host(dead_pid, stdin[0], gone.put_nowait).start()
    assert await asyncio.wait_for(gone.get(), 5) == "the host's process has ended"


async def test_a_closed_stdin_is_the_end_even_while_the_host_lives(
    host: subprocess.Popen[bytes], stdin: tuple[StdinWatch, int]
) -> None:
    gone: asyncio.Queue[str] = asyncio.Queue()
    watch_host(host.pid, stdin[0], gone.put_nowait).start()
    os.close(stdin[1])
    assert await asyncio.wait_for(gone.get(), 5) == "stdin was closed"
    assert host.poll() is None


async def test_a_loop_that_is_stuck_does_not_keep_an_orphan_alive(stdin: tuple[StdinWatch, int]) -> None:
    left = threading.Event()
    watch = ParentWatch(os.getpid(), stdin[0], lambda _: None, leave=left.set, orphan_seconds=0.05)
    watch.start()
    os.close(stdin[1])
    assert left.wait(5)


async def test_nothing_is_told_after_stop(
    host: subprocess.Popen[bytes], stdin: tuple[StdinWatch, int]
) -> None:
    calls: list[object] = []
    ended = threading.Event()
    watch = ParentWatch(
        host.pid, stdin[0], calls.append, leave=lambda: calls.append("left"), orphan_seconds=0
    )
    watch.start()
    watch.stop()
    stdin[0].on_end(ended.set)
    os.close(stdin[1])
    assert await asyncio.to_thread(ended.wait, 5)
    await asyncio.sleep(0)
    assert calls == []
