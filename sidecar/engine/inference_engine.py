"""The engine: `step()` is the whole life of a token.

Synchronous and single-threaded; whoever calls `step()` computes. Only
`cancel_request`, `stats`, `phase` and `model_info` may be used from other threads.
"""

import itertools
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator
from collections.abc import Sequence as Items
from functools import partial
from types import TracebackType

from sidecar.engine.active_request import ActiveRequest, activate
from sidecar.engine.admission import admit
from sidecar.engine.block_pool import BlockPool
from sidecar.engine.config import EngineConfig
from sidecar.engine.execution import Outcome, PlannedRow, attempt, plan_row, run_rows
from sidecar.engine.info import EngineStats, LoadListener, ModelInfo
from sidecar.engine.loading import LoadedModel, load_model
from sidecar.engine.scheduler import ScheduledRow, Scheduler
from sidecar.engine.sequence import Phase
from sidecar.errors import Conflict, InternalError, ModelNotLoaded, SidecarError
from sidecar.executors.base import RowResult
from sidecar.generation import (
    FinishReason,
    GenerationChunk,
    GenerationOutput,
    GenerationParams,
    InferenceRequest,
    RequestId,
)
from sidecar.text.tokenizer import Tokenizer


class InferenceEngine:
    """One model, many requests.

    `model` is one that is loaded already; without it the engine loads
    `config.model`, telling `progress` and giving up when `cancelled()`. Raises
    NotFound, ModelError, OutOfMemory, Unsupported.
    """

    def __init__(
        self,
        config: EngineConfig | None = None,
        *,
        model: LoadedModel | None = None,
        progress: LoadListener | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config or EngineConfig()
        loaded = model or load_model(self.config, progress or (lambda _: None), cancelled)
        self.tokenizer: Tokenizer = loaded.tokenizer
        self.model_info: ModelInfo = loaded.info
        self.phase = "idle"
        """What the engine does now: idle, schedule, execute or postprocess."""
        self._executor = loaded.executor
        self._scheduler = Scheduler(
            BlockPool(
                loaded.layout.blocks,
                namespace=loaded.cache_namespace,
                prefix_cache=self.config.prefix_cache,
            ),
            max_batch_tokens=self.config.max_batch_tokens,
            max_running=self.config.max_running_requests,
            max_waiting=self.config.max_waiting_requests,
            clock=clock,
        )
        self._clock = clock
        self._requests: dict[RequestId, ActiveRequest] = {}
        self._changed: dict[RequestId, ActiveRequest] = {}
        self._cancelled: deque[ActiveRequest] = deque()
        self._undelivered: list[GenerationOutput] = []
        self._arrivals = itertools.count()
        self._failure: SidecarError | None = None
        self._closed = False
        self._steps = self._finished_requests = 0
        self._prompt_tokens = self._cached_tokens = self._generated_tokens = 0

    def step(self, before_computing: Callable[[], None] | None = None) -> list[GenerationOutput]:
        """Compute one batch; returns what it means for each request that it concerns.

        `before_computing` is called when the batch is planned: what other threads do
        from then on meets no work of this one in Python.
        """
        return self._take_undelivered() + self._step(before_computing)

    def _step(self, before_computing: Callable[[], None] | None = None) -> list[GenerationOutput]:
        self.phase = "schedule"
        self._end_cancelled()
        rows = self._plan(self._scheduler.schedule())
        self.phase = "execute"
        if before_computing is not None:
            before_computing()
        outcomes = run_rows(self._executor, rows)
        self.phase = "postprocess"
        self._end_cancelled()
        for row, outcome in zip(rows, outcomes, strict=True):
            self._commit(row.scheduled, outcome)
        outputs = self._outputs()
        self.phase = "idle"
        return outputs

    def add_request(self, request: InferenceRequest) -> RequestId:
        """Queue a request; `step()` computes it. Raises InvalidParams, ContextOverflow, Conflict, Busy."""
        if self._closed or self._failure is not None:
            raise self._failure or ModelNotLoaded(f"the engine of {self.model_info.name!r} is closed")
        request_id = request.request_id or uuid.uuid4().hex
        if request_id in self._requests:
            raise Conflict(f"request id {request_id!r} is in use; ids of running requests must differ")
        admission = admit(
            request.prompt_tokens,
            request.params,
            context_length=self.model_info.context_length,
            vocab_size=self.model_info.vocab_size,
        )
        active = activate(
            request_id,
            request,
            admission,
            arrival=next(self._arrivals),
            now=self._clock(),
            tokenizer=self.tokenizer,
            model=self.model_info,
        )
        if admission.max_tokens == 0:
            self._end(active, FinishReason.LENGTH)
        else:
            self._scheduler.add(active.choices[0].sequence)
        self._requests[request_id] = active
        return request_id

    def cancel_request(self, request_id: RequestId) -> None:
        """End a request with what there is, at the latest with the running step. Unknown ids are ignored.

        May be called from any thread.
        """
        request = self._requests.get(request_id)
        if request is not None:
            self._cancelled.append(request)
            request.cancel[0] = 1

    def cancel_all(self) -> None:
        """Cancel every request."""
        for request_id in tuple(self._requests):
            self.cancel_request(request_id)

    def has_unfinished_requests(self) -> bool:
        """Whether `step()` has something to do."""
        return bool(self._requests)

    def generate(self, prompt_tokens: Items[int], params: GenerationParams | None = None) -> GenerationOutput:
        """Compute a request to its end. Raises what `add_request` raises, and the request's error."""
        for output in self._drive(prompt_tokens, params):
            if output.finished:
                return output
        raise AssertionError("a request ended without a finished output")

    def generate_stream(
        self, prompt_tokens: Items[int], params: GenerationParams | None = None
    ) -> Generator[GenerationChunk, None, None]:
        """A request's chunks as they are computed; closing the iterator cancels it. Raises as `generate`."""
        for output in self._drive(prompt_tokens, params):
            yield from output.chunks

    def tokenize(self, text: str, *, parse_special: bool = False) -> list[int]:
        """Text to token ids; control tokens written in it count as such only with `parse_special`."""
        return self.tokenizer.encode(text, parse_special=parse_special)

    def detokenize(self, token_ids: Items[int], *, skip_special_tokens: bool = True) -> str:
        """Token ids to text."""
        return self.tokenizer.decode(token_ids, skip_special_tokens=skip_special_tokens)

    def stats(self) -> EngineStats:
        """Counters. From another thread they may be a step apart."""
        scheduler = self._scheduler
        return EngineStats(
            running=len(scheduler.running),
            waiting=len(scheduler.waiting),
            blocks_total=scheduler.pool.total,
            blocks_free=scheduler.pool.free,
            blocks_cached=scheduler.pool.cached,
            steps=self._steps,
            prompt_tokens=self._prompt_tokens,
            cached_prompt_tokens=self._cached_tokens,
            generated_tokens=self._generated_tokens,
            preemptions=scheduler.preemptions,
            requests_finished=self._finished_requests,
        )

    def check_integrity(self) -> None:
        """Every block is free, cached, or referenced exactly as often as it is held. Raises InternalError."""
        self._scheduler.check_integrity()

    def abandon(self, error: SidecarError) -> list[GenerationOutput]:
        """Give the engine up: every request ends with `error`, and none is taken any more."""
        self._failure = error
        now = self._clock()
        for request in self._requests.values():
            request.error = error
            for choice in request.choices:
                if choice.writer.finish_reason is None:
                    choice.writer.abandon()
        outputs = [request.output(now) for request in self._requests.values()]
        self._requests.clear()
        self._changed.clear()
        return self._take_undelivered() + outputs

    def close(self) -> None:
        """Free the model. Requests that are not finished end without an output. May be called again."""
        if not self._closed:
            self._closed = True
            self._requests.clear()
            self._executor.close()

    def __enter__(self) -> "InferenceEngine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _plan(self, scheduled: Items[ScheduledRow]) -> list[PlannedRow]:
        """The rows for the executor; a request whose constraint fails ends here."""
        rows = []
        for row in scheduled:
            request = self._requests[row.sequence.request_id]
            if request.begun is None:
                request.begun = self._clock()
                request.queue_position = None
            choice = request.choices[row.sequence.choice]
            planned = attempt(
                partial(plan_row, row, choice, request.cancel), "the constraint of a request failed"
            )
            if isinstance(planned, SidecarError):
                self._fail(request, planned)
            else:
                rows.append(planned)
        return [row for row in rows if row.scheduled.sequence.phase is Phase.RUNNING]

    def _commit(self, row: ScheduledRow, outcome: Outcome) -> None:
        """Take over what the step did for one sequence, unless its request has ended meanwhile."""
        if row.sequence.phase is not Phase.RUNNING:
            return
        request = self._requests[row.sequence.request_id]
        if isinstance(outcome, SidecarError):
            self._fail(request, outcome)
        elif outcome.error is not None:
            self._fail(request, InternalError(f"the model failed on this request: {outcome.error}"))
        elif outcome.cancelled:
            self._end(request, FinishReason.CANCELLED)
        else:
            self._scheduler.commit(row)
            if request.first_token is None:
                self._prompt_tokens += row.count
                self._changed[request.request_id] = request
            if row.samples:
                error = attempt(
                    partial(self._take, request, row, outcome), "the text of a request could not be made"
                )
                if error is not None:
                    self._fail(request, error)

    def _take(self, request: ActiveRequest, row: ScheduledRow, result: RowResult) -> None:
        """Add the sampled token to its choice; the first one of a request begins its further choices."""
        sequence = row.sequence
        if request.first_token is None:
            request.first_token = self._clock()
            self._cached_tokens += sequence.cached_tokens or 0
            for other in request.choices[1:]:
                self._scheduler.fork(sequence, other.sequence)
        (token_id,) = result.token_ids
        writer = request.choices[sequence.choice].writer
        sequence.tokens.append(token_id)
        writer.take(token_id, result.logprobs[0] if result.logprobs else None)
        self._generated_tokens += 1
        self._changed[request.request_id] = request
        if writer.finish_reason is not None:
            self._scheduler.finish(sequence)

    def _fail(self, request: ActiveRequest, error: SidecarError) -> None:
        request.error = error
        self._end(request, FinishReason.ERROR)

    def _end(self, request: ActiveRequest, reason: FinishReason) -> None:
        """End every choice that has not ended."""
        for choice in request.choices:
            if choice.writer.finish_reason is None:
                if reason is FinishReason.ERROR:
                    choice.writer.abandon()
                else:
                    choice.writer.finish(reason)
            # What a failed step wrote before it failed must not be found again.
            self._scheduler.finish(choice.sequence, forget=reason is FinishReason.ERROR)
        self._changed[request.request_id] = request

    def _end_cancelled(self) -> None:
        while self._cancelled:
            request = self._cancelled.popleft()
            if self._requests.get(request.request_id) is request and not request.is_finished:
                self._end(request, FinishReason.CANCELLED)

    def _outputs(self) -> list[GenerationOutput]:
        """What changed, for each request; finished ones are forgotten."""
        self._steps += 1
        self._note_queue_positions()
        now = self._clock()
        outputs = [request.output(now) for request in self._changed.values()]
        self._changed = {}
        for output in outputs:
            if output.finished:
                del self._requests[output.request_id]
                self._finished_requests += 1
        if self.config.check_integrity:
            self.check_integrity()
        return outputs

    def _note_queue_positions(self) -> None:
        if not self._scheduler.queue_changed:
            return
        for position, sequence in enumerate(self._scheduler.waiting_in_order()):
            request = self._requests[sequence.request_id]
            if request.begun is None and request.queue_position != position:
                request.queue_position = position
                self._changed[request.request_id] = request

    def _drive(
        self, prompt_tokens: Items[int], params: GenerationParams | None
    ) -> Iterator[GenerationOutput]:
        """Step until one request is finished; what the steps mean for others waits for `step()`."""
        request = InferenceRequest(tuple(prompt_tokens), params or GenerationParams())
        request_id = self.add_request(request)
        finished = False
        try:
            while not finished:
                outputs = self._step()
                self._undelivered += [output for output in outputs if output.request_id != request_id]
                for output in outputs:
                    if output.request_id == request_id:
                        finished = output.finished
                        if output.error is not None:
                            raise output.error
                        yield output
        finally:
            if not finished:
                self.cancel_request(request_id)
                self._end_cancelled()
                self._changed.pop(request_id, None)
                self._requests.pop(request_id, None)

    def _take_undelivered(self) -> list[GenerationOutput]:
        outputs, self._undelivered = self._undelivered, []
        return outputs
