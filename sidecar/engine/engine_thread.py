"""The one thread that owns live engines.

Commands come in through a queue, every engine with work takes a step in turn,
and what the steps gave goes to the asyncio thread by way of the mailbox.
Without work the thread sleeps in the queue. Nothing else touches an engine's
state, so nothing in it is locked.

This is one of the three places that may catch everything: whatever a step
raises past the engine's own handling ends that engine's requests, not the
process and not the other engines.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sidecar.engine.inference_engine import InferenceEngine
from sidecar.engine.info import EngineActivity
from sidecar.engine.mailbox import Mailbox
from sidecar.errors import InternalError, ModelNotLoaded, SidecarError
from sidecar.generation import GenerationOutput, InferenceRequest, RequestId

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that the engine did not accept."""

    request_id: RequestId
    error: SidecarError


Delivery = Callable[[list[GenerationOutput | Refusal]], None]
"""Called on the asyncio thread with what the engine has for its readers."""


@dataclass(slots=True, eq=False)
class EngineSeat:
    """An engine's place on the thread. Its fields change on the engine thread alone."""

    engine: InferenceEngine
    deliver: Delivery
    failure: SidecarError | None = None
    """Set when the engine died of a bug; readable from any thread."""
    closed: asyncio.Future[None] | None = None
    """Set while it is leaving; resolved once the engine is closed."""


class EngineThread:
    """Drives several engines for one asyncio loop. Made on that loop; every method is called there."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._seats: list[EngineSeat] = []
        self._mailbox = Mailbox(self._loop)
        self._undelivered: list[tuple[Callable[[], None], bool]] = []
        self._stepping: tuple[EngineSeat, float] | None = None
        self._ending = False
        self._ended: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def attach(self, engine: InferenceEngine, deliver: Delivery) -> EngineSeat:
        """Take an engine over from whoever loaded it; nobody else may call it from now on."""
        seat = EngineSeat(engine, deliver)
        self._commands.put(lambda: self._seats.append(seat))
        return seat

    def submit(self, seat: EngineSeat, request: InferenceRequest) -> None:
        """Queue a request. It ends in a finished GenerationOutput, or in a Refusal."""
        if self._ended is None:
            self._commands.put(lambda: self._submit(seat, request))
        else:
            refusal = Refusal(request.request_id or "", _unloaded(seat))
            self._loop.call_soon(lambda: seat.deliver([refusal]))

    def cancel(self, seat: EngineSeat, request_id: RequestId) -> None:
        """End a request; unknown and finished ones are ignored. A step that runs gives its row up."""
        seat.engine.cancel_request(request_id)
        # Again in the queue's order: the request may not have reached the engine yet.
        self._commands.put(lambda: seat.engine.cancel_request(request_id))

    async def detach(self, seat: EngineSeat, *, drain: bool = False) -> None:
        """Close an engine, after its requests have ended (`drain`) or by cancelling them."""
        if self._ended is not None:
            await asyncio.shield(self._ended)
            return
        closed = self._loop.create_future()
        self._commands.put(lambda: self._begin_closing(seat, closed, drain=drain))
        await asyncio.shield(closed)

    async def close(self) -> None:
        """Cancel everything, close every engine, end the thread. May be called again."""
        if self._ended is None:
            self._ended = self._loop.create_future()
            self._commands.put(self._begin_ending)
        await asyncio.shield(self._ended)
        self._thread.join()

    def activity(self) -> EngineActivity:
        """What the thread does now. Takes no lock, so it answers while a step hangs; any thread may ask."""
        stepping = self._stepping
        if stepping is None:
            return EngineActivity("idle")
        seat, started = stepping
        return EngineActivity(seat.engine.phase, time.monotonic() - started, seat.engine.model_info.name)

    def _run(self) -> None:
        while self._seats or not self._ending:
            self._take_commands()
            for seat in tuple(self._seats):
                if seat.engine.has_unfinished_requests():
                    self._step(seat)
                if seat.closed is not None and not seat.engine.has_unfinished_requests():
                    self._close(seat)
            if not self._mailbox.is_read:
                self._abandon_all()
                return
        if self._ended is not None:
            self._send(partial(_resolve, self._ended))
            self._deliver()

    def _take_commands(self) -> None:
        if not any(seat.engine.has_unfinished_requests() or seat.closed for seat in self._seats):
            self._deliver()
            self._commands.get()()
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            command()

    def _submit(self, seat: EngineSeat, request: InferenceRequest) -> None:
        request_id = request.request_id or ""
        try:
            if seat.failure is not None:
                raise seat.failure
            if seat.closed is not None or seat not in self._seats:
                raise _unloaded(seat)
            seat.engine.add_request(request)
        except SidecarError as error:
            self._send_outputs(seat, [Refusal(request_id, error)])
        except Exception:
            logger.exception("a request could not be taken in")
            failure = InternalError("the engine could not take the request in: a bug of ours, see the log")
            self._send_outputs(seat, [Refusal(request_id, failure)])

    def _step(self, seat: EngineSeat) -> None:
        self._stepping = (seat, time.monotonic())
        try:
            outputs = seat.engine.step(self._deliver)
        except Exception:
            name = seat.engine.model_info.name
            logger.exception("the engine of model %r died", name)
            seat.failure = InternalError(
                f"the engine of model {name!r} died of a bug; unload and load the model again"
            )
            outputs = seat.engine.abandon(seat.failure)
        finally:
            self._stepping = None
        if outputs:
            self._send_outputs(seat, [*outputs])

    def _send_outputs(self, seat: EngineSeat, outputs: list[GenerationOutput | Refusal]) -> None:
        self._send(partial(seat.deliver, outputs), urgent=not all(map(_can_wait, outputs)))

    def _send(self, delivery: Callable[[], None], *, urgent: bool = True) -> None:
        # Kept until the next step computes: the loop would read it while that step is being planned,
        # and of the two only one can run Python.
        self._undelivered.append((delivery, urgent))

    def _deliver(self) -> None:
        undelivered, self._undelivered = self._undelivered, []
        for delivery, urgent in undelivered:
            self._mailbox.put(delivery, urgent=urgent)

    def _abandon_all(self) -> None:
        """The loop was closed without closing us: nobody is left to compute for."""
        for seat in tuple(self._seats):
            seat.engine.close()

    def _begin_closing(self, seat: EngineSeat, closed: asyncio.Future[None], *, drain: bool) -> None:
        if seat not in self._seats:
            self._send(partial(_resolve, closed))
        elif seat.closed is None:
            seat.closed = closed
        else:
            earlier = seat.closed
            self._send(lambda: earlier.add_done_callback(lambda _: _resolve(closed)))
        if not drain:
            seat.engine.cancel_all()

    def _begin_ending(self) -> None:
        self._ending = True
        for seat in self._seats:
            seat.engine.cancel_all()
            if seat.closed is None:
                seat.closed = self._loop.create_future()

    def _close(self, seat: EngineSeat) -> None:
        closed = seat.closed
        assert closed is not None
        self._seats.remove(seat)
        try:
            seat.engine.close()
        except Exception:
            logger.exception(
                "the engine of model %r could not be closed cleanly", seat.engine.model_info.name
            )
        self._send(partial(_resolve, closed))


def _unloaded(seat: EngineSeat) -> ModelNotLoaded:
    return ModelNotLoaded(f"model {seat.engine.model_info.name!r} is being unloaded; load it again")


def _can_wait(output: GenerationOutput | Refusal) -> bool:
    """Whether it is nothing but further text: no end, no first token, no progress."""
    return (
        isinstance(output, GenerationOutput)
        and not output.finished
        and output.usage.completion_tokens > 1
        and output.queue_position is None
    )


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
