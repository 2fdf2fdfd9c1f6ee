"""Watching a descriptor on loops that can and on loops that cannot."""

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from sidecar_client.readiness import watch_readable
from tests.support.loops import LoopWithoutReaders

DEADLINE = 10.0


@pytest.fixture(params=[asyncio.SelectorEventLoop, LoopWithoutReaders])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as made:
        yield made


def test_it_is_called_while_there_is_something_and_not_after_the_end(runner: asyncio.Runner) -> None:
    async def watch() -> bytes:
        reader, writer = socket.socketpair()
        other_reader, other_writer = socket.socketpair()
        taken = bytearray()
        enough = asyncio.Event()

        def take_one() -> None:
            taken.extend(reader.recv(1))
            if len(taken) == 3:
                enough.set()

        stop = watch_readable(asyncio.get_running_loop(), reader.fileno(), take_one)
        writer.send(b"ab")
        await asyncio.sleep(0)
        writer.send(b"c")
        await asyncio.wait_for(enough.wait(), DEADLINE)
        stop()
        writer.send(b"d")
        # The loop has looked at every descriptor once more when it tells of this one.
        seen = asyncio.Event()
        stop_other = watch_readable(asyncio.get_running_loop(), other_reader.fileno(), seen.set)
        other_writer.send(b"x")
        await asyncio.wait_for(seen.wait(), DEADLINE)
        stop_other()
        assert reader.recv(10) == b"d"
        for one in (reader, writer, other_reader, other_writer):
            one.close()
        return bytes(taken)

    assert runner.run(watch()) == b"abc"


def test_the_callback_itself_may_stop_it(runner: asyncio.Runner) -> None:
    async def watch() -> int:
        reader, writer = os.pipe()
        calls = 0
        stopped = asyncio.Event()

        def stop_now() -> None:
            nonlocal calls
            calls += 1
            stop()
            stopped.set()

        stop = watch_readable(asyncio.get_running_loop(), reader, stop_now)
        os.write(writer, b"x")
        await asyncio.wait_for(stopped.wait(), DEADLINE)
        os.close(reader)
        os.close(writer)
        return calls

    assert runner.run(watch()) == 1
