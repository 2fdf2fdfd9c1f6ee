"""The socket below a connection, against a bare ROUTER."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import zmq

from sidecar_client.channel import Channel, Door
from sidecar_client.engine import DEFAULT_LIVENESS

DEADLINE_SECONDS = 5
MESSAGES = 4_000
BODY = bytes(10_000)


class SlowRouter:
    """Takes messages only after `begin_and_take`, in a thread of its own; `numbers` are those that came."""

    def __init__(self) -> None:
        public, secret = zmq.curve_keypair()
        client_public, client_secret = zmq.curve_keypair()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.curve_server = True
        self._socket.curve_secretkey = secret
        self._socket.rcvhwm = 10
        self._socket.rcvtimeo = 1_000 * DEADLINE_SECONDS
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.door = Door(
            f"tcp://127.0.0.1:{port}", public.decode(), client_public.decode(), client_secret.decode()
        )
        self.numbers: list[int] = []
        self._enough = 0
        self._taken = threading.Event()
        self._thread = threading.Thread(target=self._take)

    def begin_and_take(self, count: int) -> None:
        self._enough = count
        self._thread.start()
        assert self._taken.wait(DEADLINE_SECONDS)

    def take_all(self) -> None:
        self._thread.join()

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()

    def _take(self) -> None:
        try:
            while len(self.numbers) < MESSAGES:
                self.numbers.append(int.from_bytes(self._socket.recv_multipart()[1]))
                if len(self.numbers) == self._enough:
                    self._taken.set()
        except zmq.Again:
            return


@pytest.fixture
def router() -> Iterator[SlowRouter]:
    made = SlowRouter()
    yield made
    made.close()


class InterruptedChannel(Channel):
    """The system takes the processor away behind its next attempt to send, while `meanwhile` runs."""

    meanwhile: Callable[[], None] | None = None

    def _flush(self) -> None:
        super()._flush()
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()


async def test_what_the_engine_does_not_take_at_once_goes_out_when_it_does(router: SlowRouter) -> None:
    channel = InterruptedChannel(router.door, DEFAULT_LIVENESS, lambda _: None, lambda _: None)
    for number in range(MESSAGES - 1):
        channel.send([number.to_bytes(4), BODY])
    # There is room again before the channel asks for messages, which takes the descriptor's signal.
    # Past the turn in which it looks for what came before it watched: only the descriptor wakes it now.
    for _ in range(3):
        await asyncio.sleep(0)
    held = len(channel._outbox)
    assert held
    # There is room again before the channel asks for messages, which takes the descriptor's signal.
    # What it asked for at its beginning is answered, so that nothing but the descriptor wakes it again.
    held = 0
    while held != len(channel._outbox):
        held = len(channel._outbox)
        await asyncio.sleep(0.1)
    assert held
    channel.meanwhile = partial(router.begin_and_take, MESSAGES - 1 - held)
    channel.send([(MESSAGES - 1).to_bytes(4), BODY])
    await asyncio.to_thread(router.take_all)
    assert router.numbers == list(range(MESSAGES))
    await channel.close()
