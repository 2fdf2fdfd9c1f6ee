"""A request inside the engine: its choices, its times, and what to tell of it."""

import secrets
from collections.abc import Sequence as Items
from dataclasses import dataclass, field

from sidecar.engine.admission import Admission
from sidecar.engine.info import ModelInfo
from sidecar.engine.postprocess import ChoiceWriter
from sidecar.engine.sequence import Sequence
from sidecar.errors import SidecarError
from sidecar.executors.base import SamplingParameters
from sidecar.generation import (
    GenerationOutput,
    GenerationTimings,
    GenerationUsage,
    InferenceRequest,
    PrefillProgress,
    RequestId,
)
from sidecar.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice: its place in the schedule, how it is sampled, its text."""

    sequence: Sequence
    sampling: SamplingParameters
    writer: ChoiceWriter


@dataclass(slots=True, eq=False, kw_only=True)
class ActiveRequest:
    """A request from its arrival until its last output was handed out. Times are of the engine's clock."""

    request_id: RequestId
    choices: Items[Choice]
    prompt_length: int
    dropped_tokens: int
    arrived: float
    begun: float | None = None
    """When its first step began."""
    first_token: float | None = None
    error: SidecarError | None = None
    queue_position: int | None = None
    cancel: bytearray = field(default_factory=lambda: bytearray(1))
    """Non-zero once the request is cancelled; the executor reads it between layers."""

    @property
    def is_finished(self) -> bool:
        """Whether every choice has ended."""
        return all(choice.writer.finish_reason is not None for choice in self.choices)

    def output(self, now: float) -> GenerationOutput:
        """What happened since the last output."""
        finished = self.is_finished
        sequence = self.choices[0].sequence
        prefill = None
        if self.first_token is None and self.begun is not None and not finished:
            prefill = PrefillProgress(min(sequence.computed, self.prompt_length), self.prompt_length)
        return GenerationOutput(
            request_id=self.request_id,
            chunks=tuple(choice.writer.take_chunk() for choice in self.choices if choice.writer.has_news),
            finished=finished,
            choices=tuple(choice.writer.choice() for choice in self.choices) if finished else (),
            usage=GenerationUsage(
                self.prompt_length,
                sum(len(choice.writer.token_ids) for choice in self.choices),
                sequence.cached_tokens or 0,
            ),
            timings=self._timings(now),
            prefill=prefill,
            dropped_tokens=self.dropped_tokens,
            error=self.error,
            queue_position=self.queue_position,
        )

    def _timings(self, now: float) -> GenerationTimings:
        begun = now if self.begun is None else self.begun
        first_token = now if self.first_token is None else self.first_token
        return GenerationTimings(begun - self.arrived, first_token - begun, now - first_token)


def activate(
    request_id: RequestId,
    request: InferenceRequest,
    admission: Admission,
    *,
    arrival: int,
    now: float,
    tokenizer: Tokenizer,
    model: ModelInfo,
) -> ActiveRequest:
    """The request with its choices, ready to be queued. A missing seed is drawn here."""
    params = request.params
    seed = secrets.randbits(64) if params.seed is None else params.seed
    choices = [
        Choice(
            Sequence(
                request_id=request_id,
                choice=index,
                priority=params.priority,
                arrival=arrival,
                tokens=list(admission.prompt_tokens),
                prompt_length=len(admission.prompt_tokens),
                expected_growth=admission.max_tokens,
            ),
            SamplingParameters(
                temperature=params.temperature,
                top_k=params.top_k,
                top_p=params.top_p,
                min_p=params.min_p,
                typical_p=params.typical_p,
                repetition_penalty=params.repetition_penalty,
                frequency_penalty=params.frequency_penalty,
                presence_penalty=params.presence_penalty,
                logit_bias=params.logit_bias,
                seed=seed,
                choice=index,
                logprobs=params.logprobs,
                top_logprobs=params.top_logprobs,
            ),
            ChoiceWriter(
                request_id=request_id,
                index=index,
                prompt_tokens=admission.prompt_tokens,
                params=params,
                max_tokens=admission.max_tokens,
                tokenizer=tokenizer,
                eos_token_ids=model.eos_token_ids,
                vocab_size=model.vocab_size,
                constraint=None if request.constraint is None else request.constraint(),
                continues_text=request.continues_text,
            ),
        )
        for index in range(params.n)
    ]
    return ActiveRequest(
        request_id=request_id,
        choices=choices,
        prompt_length=len(admission.prompt_tokens),
        dropped_tokens=admission.dropped_tokens,
        arrived=now,
    )
