"""What is put reaches the loop in order, at once when urgent and soon when not."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from sidecar.engine.mailbox import PATIENCE_SECONDS, Mailbox

DEADLINE = 10.0


async def put_elsewhere(*puts: Callable[[], None]) -> None:
    """Call them in a thread of their own, as the engine does."""

    def run() -> None:
        for put in puts:
            put()

    await asyncio.to_thread(run)


async def test_the_first_after_a_pause_wakes_the_loop() -> None:
    mailbox = Mailbox(asyncio.get_running_loop())
    came = asyncio.Event()
    await put_elsewhere(lambda: mailbox.put(came.set, urgent=False))
    await asyncio.wait_for(came.wait(), DEADLINE)


async def test_what_can_wait_comes_together_with_the_next_look_or_the_next_urgent_one() -> None:
    mailbox = Mailbox(asyncio.get_running_loop())
    times: dict[str, float] = {}
    came = {name: asyncio.Event() for name in ("first", "second", "third", "urgent")}

    def note(name: str) -> None:
        times[name] = asyncio.get_running_loop().time()
        came[name].set()

    def put(name: str, *, urgent: bool) -> Callable[[], None]:
        return lambda: mailbox.put(partial(note, name), urgent=urgent)

    await put_elsewhere(put("first", urgent=False))
    await put_elsewhere(put("second", urgent=False), put("third", urgent=False))
    await asyncio.wait_for(came["third"].wait(), DEADLINE)
    assert times["third"] - times["first"] >= PATIENCE_SECONDS * 0.9
    assert times["third"] - times["second"] < PATIENCE_SECONDS / 2
    await put_elsewhere(put("urgent", urgent=True))
    await asyncio.wait_for(came["urgent"].wait(), DEADLINE)


async def test_a_loop_that_was_closed_is_not_waited_for() -> None:
    other = asyncio.new_event_loop()
    mailbox = Mailbox(other)
    assert mailbox.is_read
    other.close()
    assert not mailbox.is_read
    mailbox.put(lambda: None)


@given(st.lists(st.booleans(), max_size=40))
def test_everything_comes_once_and_in_order(urgencies: list[bool]) -> None:
    async def deliver() -> list[int]:
        mailbox = Mailbox(asyncio.get_running_loop())
        came: list[int] = []
        done = asyncio.Event()

        def put_all() -> None:
            for number, urgent in enumerate(urgencies):
                mailbox.put(partial(came.append, number), urgent=urgent)
            mailbox.put(done.set, urgent=False)

        thread = threading.Thread(target=put_all)
        thread.start()
        await asyncio.wait_for(done.wait(), DEADLINE)
        thread.join()
        return came

    assert asyncio.run(deliver()) == list(range(len(urgencies)))
