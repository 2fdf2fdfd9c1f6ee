"""The engine for asyncio: the names of `InferenceEngine`, awaitable, computed on the engine thread."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from sidecar.engine.config import EngineConfig
from sidecar.engine.engine_thread import EngineSeat, EngineThread, Refusal
from sidecar.engine.inference_engine import InferenceEngine
from sidecar.engine.info import EngineActivity, EngineStats, LoadListener, ModelInfo
from sidecar.engine.loader_thread import load_on_thread
from sidecar.errors import Conflict, ModelNotLoaded, SidecarError
from sidecar.generation import (
    ConstraintFactory,
    GenerationChunk,
    GenerationOutput,
    GenerationParams,
    InferenceRequest,
    RequestId,
)
from sidecar.text.tokenizer import Tokenizer

INLINE_TEXT_CHARACTERS = 16 * 1024
"""Longer text is encoded on a worker thread, so that the loop goes on."""

Result = TypeVar("Result")


class AsyncInferenceEngine:
    """One model's engine behind asyncio.

    Used alone, `async with AsyncInferenceEngine(EngineConfig(...)) as engine`
    loads the model and owns its thread; an `EnginePool` hands out engines that
    share one thread. Everything is called on the loop it was started on.
    """

    def __init__(self, config: EngineConfig | None = None) -> None:
        self._config = config or EngineConfig()
        self._thread: EngineThread | None = None
        self._owns_thread = False
        self._seat: EngineSeat | None = None
        self._readers: dict[RequestId, _Reader] = {}

    @classmethod
    def attach(cls, engine: InferenceEngine, thread: EngineThread) -> "AsyncInferenceEngine":
        """The async face of a loaded engine, run by `thread` from now on."""
        face = cls(engine.config)
        face._thread = thread
        face._seat = thread.attach(engine, face._deliver)
        return face

    async def start(self, progress: LoadListener | None = None) -> None:
        """Load the model; cancelling stops it. Raises ModelError, NotFound, OutOfMemory, Unsupported.

        `progress` is called on the loop.
        """
        if self._seat is not None:
            raise Conflict("the engine has been started already")
        engine = await load_on_thread(self._config, progress)
        self._thread = EngineThread()
        self._owns_thread = True
        self._seat = self._thread.attach(engine, self._deliver)

    async def close(self, *, drain: bool = False) -> None:
        """End the requests (by cancelling them, or with `drain` when they are done) and free the model."""
        if self._thread is None or self._seat is None:
            return
        await self._thread.detach(self._seat, drain=drain)
        if self._owns_thread:
            await self._thread.close()

    async def __aenter__(self) -> "AsyncInferenceEngine":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[GenerationOutput, None]:
        """One output a step that concerns the request; the last is `finished`.

        What the engine refuses is raised before the first output: Busy,
        ContextOverflow, InvalidParams, Conflict (a request id in use),
        ModelNotLoaded. What fails later ends in a finished output with `error`.
        Leaving the loop early, or `aclose()`, cancels the request.
        """
        thread, seat = self._running()
        request_id = request.request_id or uuid.uuid4().hex
        if request_id in self._readers:
            raise Conflict(f"request id {request_id!r} is in use; ids of running requests must differ")
        reader = self._readers[request_id] = _Reader()
        finished = False
        thread.submit(seat, replace(request, request_id=request_id))
        try:
            while not finished:
                output = await reader.next()
                if isinstance(output, Refusal):
                    finished = True
                    raise output.error
                finished = output.finished
                yield output
        finally:
            del self._readers[request_id]
            if not finished:
                thread.cancel(seat, request_id)

    async def generate(
        self,
        prompt_tokens: Sequence[int],
        params: GenerationParams | None = None,
        *,
        constraint: ConstraintFactory | None = None,
    ) -> GenerationOutput:
        """The finished output; cancelling the task cancels the request. Raises also what fails on the way."""
        request = InferenceRequest(tuple(prompt_tokens), params or GenerationParams(), constraint=constraint)
        async with aclosing(self.stream(request)) as outputs:
            async for output in outputs:
                if output.error is not None:
                    raise output.error
                if output.finished:
                    return output
        raise AssertionError("a stream ended without a finished output")

    async def generate_stream(
        self, prompt_tokens: Sequence[int], params: GenerationParams | None = None
    ) -> AsyncGenerator[GenerationChunk, None]:
        """The chunks of every choice as they come. Raises what `generate` raises."""
        request = InferenceRequest(tuple(prompt_tokens), params or GenerationParams())
        async with aclosing(self.stream(request)) as outputs:
            async for output in outputs:
                for chunk in output.chunks:
                    yield chunk
                if output.error is not None:
                    raise output.error

    def cancel_request(self, request_id: RequestId) -> None:
        """End a request; its stream gets a finished output with what there is. Unknown ids are ignored."""
        thread, seat = self._running()
        thread.cancel(seat, request_id)

    def cancel_all_requests(self) -> None:
        """End every request as `cancel_request` does."""
        for request_id in self._readers:
            self.cancel_request(request_id)

    async def tokenize(self, text: str, *, parse_special: bool = False) -> list[int]:
        """Text to token ids; long text on a worker thread."""
        return await _inline_or_worker(
            len(text), lambda: self.tokenizer.encode(text, parse_special=parse_special)
        )

    async def detokenize(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Token ids to text."""
        return await _inline_or_worker(
            len(token_ids), lambda: self.tokenizer.decode(token_ids, skip_special_tokens=skip_special_tokens)
        )

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer; safe on any thread."""
        return self._running()[1].engine.tokenizer

    @property
    def model_info(self) -> ModelInfo:
        """What is loaded."""
        return self._running()[1].engine.model_info

    def stats(self) -> EngineStats:
        """Counters, at most a step old."""
        return self._running()[1].engine.stats()

    def activity(self) -> EngineActivity:
        """What the engine thread does now, with the age of the step."""
        return self._running()[0].activity()

    @property
    def failure(self) -> SidecarError | None:
        """Why the engine is dead, or None. A dead engine refuses everything with it."""
        return None if self._seat is None else self._seat.failure

    def _running(self) -> tuple[EngineThread, EngineSeat]:
        if self._thread is None or self._seat is None:
            raise ModelNotLoaded(f"model {self._config.model!r} is not in memory yet; await start() first")
        return self._thread, self._seat

    def _deliver(self, outputs: list[GenerationOutput | Refusal]) -> None:
        for output in outputs:
            reader = self._readers.get(output.request_id)
            if reader is not None:
                reader.put(output)


class _Reader:
    """Outputs that wait for one stream; as many as the request has steps left at most."""

    __slots__ = ("_outputs", "_waiter")

    def __init__(self) -> None:
        self._outputs: deque[GenerationOutput | Refusal] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def put(self, output: GenerationOutput | Refusal) -> None:
        self._outputs.append(output)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> GenerationOutput | Refusal:
        while not self._outputs:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._outputs.popleft()


async def _inline_or_worker(size: int, work: Callable[[], Result]) -> Result:
    return work() if size <= INLINE_TEXT_CHARACTERS else await asyncio.to_thread(work)
