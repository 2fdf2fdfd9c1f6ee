"""generate.*: raw prompts, without a chat template."""

from typing import ClassVar, Literal, Self

import msgspec

from sidecar_protocol.base import Coalesce, Event, Result
from sidecar_protocol.common import (
    FinishReasonName,
    LoadingEvent,
    OverflowEvent,
    PrefillEvent,
    QueuedEvent,
    SamplingParams,
    Timings,
    Usage,
)
from sidecar_protocol.registry import method

GenerateOverflow = Literal["error", "truncate_middle", "stop_at_limit"]
"""When a prompt leaves too little room: fail, leave out its middle, or answer until the context is full."""
MatchedStop = str | int
"""The stop string or token id that ended a choice."""
Prompt = str | list[int]
"""Text, or token ids."""


class TokenLogprobItem(Result):
    """One token and the natural logarithm of its probability under the raw logits."""

    token_id: int
    logprob: float


class TokenLogprobs(Result):
    """A chosen token, and the likeliest ones at its place in falling order."""

    chosen: TokenLogprobItem
    top: list[TokenLogprobItem]


class GenerateChoice(Result):
    """One finished choice."""

    index: int
    text: str
    token_ids: list[int]
    finish_reason: FinishReasonName
    matched_stop: MatchedStop | None = None
    logprobs: list[TokenLogprobs] | None = None


class Generation(Result):
    """A finished generation."""

    model: str
    choices: list[GenerateChoice]
    usage: Usage
    timings: Timings
    dropped_tokens: int
    """Prompt tokens that overflow "truncate_middle" left out."""


class GenerateChunkEvent(Event, tag="chunk"):
    """What was added to one choice."""

    coalesce: ClassVar[Coalesce] = Coalesce.CONCAT

    choice: int
    text: str
    token_ids: list[int]
    logprobs: list[TokenLogprobs] | None = None
    finish_reason: FinishReasonName | None = None
    matched_stop: MatchedStop | None = None

    def joined_with(self, later: Self) -> Self | None:
        """Both texts as one event, when they continue the same choice."""
        if self.choice != later.choice or self.finish_reason is not None:
            return None
        logprobs = (self.logprobs or []) + (later.logprobs or [])
        return msgspec.structs.replace(
            later,
            text=self.text + later.text,
            token_ids=self.token_ids + later.token_ids,
            logprobs=logprobs or None,
        )


GenerateEvent = QueuedEvent | LoadingEvent | PrefillEvent | OverflowEvent | GenerateChunkEvent


@method(
    "generate.create",
    result=Generation,
    events=GenerateEvent,
    errors=("not_found", "model_load_failed", "context_overflow", "out_of_memory", "slow_consumer"),
)
class GenerateCreate(SamplingParams, kw_only=True):
    """Continue a prompt, given as text or as token ids."""

    prompt: Prompt
    model: str = "default"
    max_tokens: int | None = None
    """None: up to the end of the context."""
    logprobs: bool = False
    top_logprobs: int = 0
    parse_special: bool = False
    """Whether control tokens written in a text prompt count as such."""
    overflow: GenerateOverflow = "error"
