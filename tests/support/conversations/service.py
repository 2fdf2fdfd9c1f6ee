"""The service on the scripted executor, in memory; it computes when it is told to and not before."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sidecar.engine.async_engine import AsyncInferenceEngine
from sidecar.engine.config import EngineConfig
from sidecar.engine.engine_pool import EnginePool
from sidecar.engine.engine_thread import Delivery, EngineSeat, Refusal
from sidecar.engine.inference_engine import InferenceEngine
from sidecar.errors import SidecarError
from sidecar.generation import InferenceRequest
from sidecar.openai.adapter import OpenAIAdapter
from sidecar.openai.local import LoadingSink, LocalChatBackend
from sidecar.service.chat import chat_handlers
from sidecar.service.dispatcher import Dispatcher
from sidecar.service.engine import Traffic, engine_handlers
from sidecar.service.generate import generate_handlers
from sidecar.service.tokens import token_handlers
from sidecar.transport.hub import Hub
from sidecar.transport.memory import MemoryHost
from sidecar.transport.terms import Terms
from sidecar_protocol.engine import EngineInfo
from tests.support.scripted import scripted_engine

BOOT_ID = "0000000000000000"
VERSION = "0.0.0"
METHODS_OF_THE_PROCESS = ("engine.info", "engine.ping")
PING_SECONDS = 0.3
TURNS_UNTIL_QUIET = 100
INFO = EngineInfo(
    version=VERSION,
    protocol=1,
    boot_id=BOOT_ID,
    pid=1,
    app_id="conversation",
    platform="any",
    python="3",
    executors=["scripted"],
    data_dir="",
    cache_dir="",
)


class Service:
    """A hub with the handlers of the real one, and one host's end of it. Made on the running loop."""

    def __init__(self) -> None:
        asyncio.get_running_loop().set_default_executor(InlineExecutor())
        self._thread = SteppedEngineThread()
        engine = AsyncInferenceEngine.attach(scripted_engine(blocks=256), self._thread)

        async def source(model: str, tell: LoadingSink) -> AsyncInferenceEngine:
            return engine

        adapter = OpenAIAdapter(LocalChatBackend(source))
        pool = EnginePool(EngineConfig(executor="scripted"))
        process: Any = None
        of_process = engine_handlers(INFO, pool, process, lambda: Traffic(1, 1))
        handlers = {
            **{name: of_process[name] for name in METHODS_OF_THE_PROCESS},
            **token_handlers(source, adapter),
            **generate_handlers(source),
            **chat_handlers(adapter),
        }
        dispatcher = Dispatcher(handlers, capabilities=["tools"])
        terms = Terms(dispatcher=dispatcher, boot_id=BOOT_ID, version=VERSION)
        self.hub = Hub(terms, single_host=True, ping_seconds=PING_SECONDS)
        self.host = MemoryHost(self.hub)

    async def compute(self, steps: int) -> None:
        """Let the engine take so many steps, and everybody hear of each before the next."""
        for _ in range(steps):
            self._thread.step()
            await quiet()

    @property
    def has_work(self) -> bool:
        """Whether a step would do anything."""
        return self._thread.has_work

    async def close(self) -> None:
        """End what still runs."""
        self.host.gone = True
        await self.hub.shut_down(0)


async def quiet() -> None:
    """Until everybody has done what there was to do: nothing here waits for time or for another thread."""
    for _ in range(TURNS_UNTIL_QUIET):
        await asyncio.sleep(0)


class InlineExecutor(ThreadPoolExecutor):
    """Does at once what others do in a thread, so that nothing has to be waited for."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **options: Any) -> "Future[Any]":
        """A future that is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments, **options))
        except SidecarError as error:
            future.set_exception(error)
        return future


class SteppedEngineThread:
    """Stands where the engine thread stands; its steps are taken by whoever calls `step`."""

    def __init__(self) -> None:
        self._seat: EngineSeat | None = None

    @property
    def has_work(self) -> bool:
        return self._seat is not None and self._seat.engine.has_unfinished_requests()

    def attach(self, engine: InferenceEngine, deliver: Delivery) -> EngineSeat:
        self._seat = EngineSeat(engine, deliver)
        return self._seat

    def submit(self, seat: EngineSeat, request: InferenceRequest) -> None:
        try:
            seat.engine.add_request(request)
        except SidecarError as error:
            seat.deliver([Refusal(request.request_id or "", error)])

    def cancel(self, seat: EngineSeat, request_id: str) -> None:
        seat.engine.cancel_request(request_id)

    def step(self) -> None:
        if self._seat is not None:
            outputs = self._seat.engine.step()
            if outputs:
                self._seat.deliver([*outputs])
