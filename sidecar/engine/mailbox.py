"""From one thread to the asyncio loop, waking the loop no more often than anyone could notice."""

import asyncio
from collections import deque
from collections.abc import Callable

PATIENCE_SECONDS = 1 / 60
"""What is not urgent waits no longer: a screen shows 60 changes a second, and each wake-up of the loop,
of the transport and of the host's program costs the cores that compute more than the tokens it brings."""


class Mailbox:
    """Deliveries are called on the loop in their order.

    The first after a pause and every urgent one wakes the loop; it then looks again by
    itself after PATIENCE_SECONDS, until it finds nothing. `put` is for one thread,
    another than the loop's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()
        self._will_look = False

    @property
    def is_read(self) -> bool:
        """Whether the loop is there to read it; false once it was closed."""
        return not self._loop.is_closed()

    def put(self, delivery: Callable[[], None], *, urgent: bool = True) -> None:
        """Have it called on the loop; lost when the loop is closed."""
        self._waiting.append(delivery)
        if urgent or not self._will_look:
            try:
                self._loop.call_soon_threadsafe(self._read)
            except RuntimeError:
                if self.is_read:
                    raise

    def _read(self) -> None:
        if self._waiting and not self._will_look:
            self._will_look = True
            self._loop.call_later(PATIENCE_SECONDS, self._look)
        while self._waiting:
            self._waiting.popleft()()

    def _look(self) -> None:
        self._will_look = False
        # Also what came just now from a thread that still saw that this would look.
        self._read()
