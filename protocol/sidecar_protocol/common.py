"""Types that several namespaces share."""

from typing import ClassVar, Literal

from sidecar_protocol.base import Coalesce, Event, Params, Result, StreamingParams

Priority = Literal["interactive", "normal", "background"]
FinishReasonName = Literal["stop", "stop_sequence", "length", "cancelled", "error"]


class SamplingParams(StreamingParams, kw_only=True):
    """How to pick tokens; what is left out takes the engine's default, which is off."""

    temperature: float = 1.0
    """0 is greedy."""
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repeat_last_n: int = -1
    """Tokens the penalties look back on; -1: all, 0: none."""
    logit_bias: dict[str, float] = {}
    """Token id, as a string, to a number from -100 to 100."""
    seed: int | None = None
    """The same seed gives the same tokens whatever else runs."""
    n: int = 1
    """Choices."""
    min_tokens: int = 0
    stop: str | list[str] | None = None
    stop_token_ids: list[int] = []
    ignore_eos: bool = False
    skip_special_tokens: bool = True
    priority: Priority = "normal"


class Empty(Params):
    """No params."""


class Done(Result):
    """Nothing to give back but that it is done."""


class Usage(Result):
    """Tokens counted, as OpenAI names them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: "PromptTokensDetails"


class PromptTokensDetails(Result):
    """Of the prompt's tokens, those that came from the prefix cache."""

    cached_tokens: int


class Timings(Result):
    """Milliseconds spent waiting, on the prompt, and generating after the first token."""

    queued_ms: float
    prefill_ms: float
    decode_ms: float


class QueuedEvent(Event, tag="queued"):
    """The request waits; `position` requests are before it."""

    coalesce: ClassVar[Coalesce] = Coalesce.KEEP_LAST

    position: int


class LoadingEvent(Event, tag="loading"):
    """The model is being loaded; `stage` is resolve, convert, load or allocate, `fraction` of it is done."""

    coalesce: ClassVar[Coalesce] = Coalesce.KEEP_LAST

    model: str
    stage: str
    fraction: float


class PrefillEvent(Event, tag="prefill"):
    """Prompt tokens computed so far."""

    coalesce: ClassVar[Coalesce] = Coalesce.KEEP_LAST

    done: int
    total: int


class OverflowEvent(Event, tag="overflow"):
    """The prompt did not fit; this was left out of it before the start."""

    dropped_messages: int = 0
    dropped_tokens: int = 0
