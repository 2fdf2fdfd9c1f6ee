"""One orderly end, whoever asks for it and however often."""

import asyncio
import os
import signal

import pytest

from sidecar.lifecycle.shutdown import Shutdown


class End:
    """An orderly end that takes its whole grace, as with requests that would not finish."""

    def __init__(self) -> None:
        self.graces: list[float] = []
        self.begun = asyncio.Event()

    async def __call__(self, grace_seconds: float) -> None:
        self.graces.append(grace_seconds)
        self.begun.set()
        await asyncio.sleep(grace_seconds)


async def test_the_end_begins_when_it_is_asked_for_with_its_grace() -> None:
    shutdown, end = Shutdown(), End()
    running = asyncio.ensure_future(shutdown.run(end))
    await asyncio.sleep(0)
    assert end.graces == []
    shutdown.request("test", 0.01)
    await asyncio.wait_for(running, 5)
    assert end.graces == [0.01]


async def test_a_request_before_anyone_waits_is_not_lost() -> None:
    shutdown, end = Shutdown(), End()
    shutdown.request("early")
    await asyncio.wait_for(shutdown.run(end), 5)
    assert end.graces == [0.0]


async def test_a_later_request_can_shorten_the_grace_and_not_lengthen_it() -> None:
    shutdown, end = Shutdown(), End()
    running = asyncio.ensure_future(shutdown.run(end))
    shutdown.request("patient", 60)
    await end.begun.wait()
    shutdown.request("more patient", 600)
    shutdown.request("impatient", 0)
    await asyncio.wait_for(running, 5)
    assert end.graces == [60, 0]


async def test_what_the_end_raises_is_not_swallowed() -> None:
    async def fail(grace_seconds: float) -> None:
        raise ValueError("broken end")

    shutdown = Shutdown()
    shutdown.request("test")
    with pytest.raises(ValueError, match="broken end"):
        await shutdown.run(fail)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_asks_for_the_end_at_once(number: signal.Signals) -> None:
    shutdown, end = Shutdown(), End()
    shutdown.listen_to_signals()
    try:
        running = asyncio.ensure_future(shutdown.run(end))
        shutdown.request("patient", 60)
        await end.begun.wait()
        os.kill(os.getpid(), number)
        await asyncio.wait_for(running, 5)
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(each)
    assert end.graces == [60, 0.0]
