"""Types that several namespaces share."""

from typing import Annotated, ClassVar, Literal

import msgspec

from sidecar_protocol.base import Coalesce, Event, Params, Result, StreamingParams, open_enum

Priority = Literal["interactive", "normal", "background"]
"""Whose turn it is when the engine has more to do than it can: interactive work pauses background work."""
FinishReasonName = Annotated[str, open_enum("stop", "stop_sequence", "length", "cancelled", "error")]
"""Why a generation ended."""
StopStrings = str | list[str]
"""One stop string, or several."""
JsonObject = dict[str, object]
"""Any JSON object, such as a JSON Schema."""
Metadata = Annotated[
    dict[
        Annotated[str, msgspec.Meta(min_length=1, max_length=64)],
        Annotated[str, msgspec.Meta(max_length=512)],
    ],
    msgspec.Meta(max_length=16),
]
"""Up to 16 short strings that a program attaches to an object."""
LoadStage = Annotated[str, open_enum("resolve", "convert", "load", "allocate")]
"""What of loading a model is being done."""
Order = Literal["asc", "desc"]
"""Oldest first, or newest first."""
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How much a reasoning model thinks before it answers."""


class SamplingParams(StreamingParams, kw_only=True):
    """How to pick tokens; what is left out takes the engine's default, which is off."""

    temperature: float = 1.0
    """0 is greedy."""
    top_k: int = 0
    """Pick from this many of the likeliest tokens; 0: from all."""
    top_p: float = 1.0
    """Pick from the likeliest tokens that have this probability together."""
    min_p: float = 0.0
    """Leave out tokens less probable than this part of the likeliest one's probability."""
    typical_p: float = 1.0
    """Pick from the most typical tokens that have this probability together."""
    repetition_penalty: float = 1.0
    """Divides the scores of tokens that have occurred; above 1 they become rarer."""
    frequency_penalty: float = 0.0
    """Taken off a token's score for each time it was generated."""
    presence_penalty: float = 0.0
    """Taken off a token's score once it was generated."""
    repeat_last_n: int = -1
    """Tokens the penalties look back on; -1: all, 0: none."""
    logit_bias: dict[str, float] = {}
    """Token id, as a string, to a number from -100 to 100."""
    seed: int | None = None
    """The same seed gives the same tokens whatever else runs."""
    n: int = 1
    """Choices."""
    min_tokens: int = 0
    """No end before this many."""
    stop: StopStrings | None = None
    """End before the first of these; it is not part of the text."""
    stop_token_ids: list[int] = []
    ignore_eos: bool = False
    """Go on after the model's own end token."""
    skip_special_tokens: bool = True
    """Leave control tokens out of the text."""
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
    completion_tokens_details: "CompletionTokensDetails | None" = None


class PromptTokensDetails(Result):
    """Of the prompt's tokens, those that came from the prefix cache."""

    cached_tokens: int


class CompletionTokensDetails(Result):
    """Of the answer's tokens, those that were reasoning."""

    reasoning_tokens: int


class Timings(Result):
    """Milliseconds spent waiting, on the prompt, and generating after the first token."""

    queued_ms: float
    prefill_ms: float
    decode_ms: float


class QueuedEvent(Event, tag="queued"):
    """The request waits."""

    coalesce: ClassVar[Coalesce] = Coalesce.KEEP_LAST

    position: int
    """Requests that are before it."""


class LoadingEvent(Event, tag="loading"):
    """The model is being loaded."""

    coalesce: ClassVar[Coalesce] = Coalesce.KEEP_LAST

    model: str
    stage: LoadStage
    fraction: float
    """How much of the stage is done, from 0 to 1."""


class PrefillEvent(Event, tag="prefill"):
    """Prompt tokens computed so far."""

    coalesce: ClassVar[Coalesce] = Coalesce.KEEP_LAST

    done: int
    total: int


class OverflowEvent(Event, tag="overflow"):
    """The prompt did not fit; this was left out of it before the start."""

    dropped_messages: int = 0
    dropped_tokens: int = 0
