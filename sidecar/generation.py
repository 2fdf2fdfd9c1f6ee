"""The engine's vocabulary: what is asked of it and what it gives back.

Knows nothing of OpenAI, messages, sockets or torch. Everything here is plain
data that crosses threads freely because nobody changes it once it is made.
"""

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sidecar.errors import InvalidParams, SidecarError

RequestId = str

MAX_TOP_LOGPROBS = 20
MAX_CHOICES = 64
MAX_STOP_STRINGS = 16
MAX_SHOWN_CHARACTERS = 200
"""Of a wrong value, in the error that names it."""


class FinishReason(enum.Enum):
    """Why a choice ended."""

    STOP = "stop"
    """The model said so: an end-of-sequence token."""
    STOP_SEQUENCE = "stop_sequence"
    """A stop string or stop token of the request."""
    LENGTH = "length"
    """`max_tokens`, or the end of the context."""
    CANCELLED = "cancelled"
    ERROR = "error"


class Priority(enum.IntEnum):
    """Order of service; a lower number is served first."""

    INTERACTIVE = 0
    NORMAL = 1
    BACKGROUND = 2


class OverflowPolicy(enum.Enum):
    """What a prompt longer than the context does."""

    ERROR = "error"
    TRUNCATE_MIDDLE = "truncate_middle"
    STOP_AT_LIMIT = "stop_at_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationParams:
    """How to generate. Raises InvalidParams naming the field that is out of range.

    `max_tokens=None` means up to the end of the context. `temperature=0` is
    greedy. `top_k=0`, `top_p=1`, `min_p=0`, `typical_p=1` and penalties of 1 / 0 / 0
    are off. `repeat_last_n=-1` counts the whole sequence for the penalties, 0
    nothing. `seed=None` draws one. `top_logprobs` needs `logprobs`.
    """

    max_tokens: int | None = None
    min_tokens: int = 0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repeat_last_n: int = -1
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    n: int = 1
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    skip_special_tokens: bool = True
    logprobs: bool = False
    top_logprobs: int = 0
    priority: Priority = Priority.NORMAL
    overflow: OverflowPolicy = OverflowPolicy.ERROR

    def __post_init__(self) -> None:
        _at_least("max_tokens", self.max_tokens, 1)
        _at_least("min_tokens", self.min_tokens, 0)
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise _out_of_range("min_tokens", self.min_tokens, f"at most max_tokens ({self.max_tokens})")
        _between("temperature", self.temperature, 0.0, 100.0)
        _at_least("top_k", self.top_k, 0)
        _between("top_p", self.top_p, 0.0, 1.0, above_low=True)
        _between("min_p", self.min_p, 0.0, 1.0)
        _between("typical_p", self.typical_p, 0.0, 1.0, above_low=True)
        _between("repetition_penalty", self.repetition_penalty, 0.0, 100.0, above_low=True)
        _between("frequency_penalty", self.frequency_penalty, -2.0, 2.0)
        _between("presence_penalty", self.presence_penalty, -2.0, 2.0)
        _at_least("repeat_last_n", self.repeat_last_n, -1)
        if self.seed is not None and not 0 <= self.seed < 2**64:
            raise _out_of_range("seed", self.seed, "an integer from 0 to 2**64 - 1")
        if not 1 <= self.n <= MAX_CHOICES:
            raise _out_of_range("n", self.n, f"an integer from 1 to {MAX_CHOICES}")
        for token_id, bias in self.logit_bias.items():
            if token_id < 0 or not -100.0 <= bias <= 100.0:
                raise _out_of_range(
                    f"logit_bias[{token_id}]", bias, "a token id and a number from -100 to 100"
                )
        if len(self.stop) > MAX_STOP_STRINGS or not all(self.stop):
            raise _out_of_range(
                "stop", list(self.stop), f"up to {MAX_STOP_STRINGS} strings, none of them empty"
            )
        if any(token_id < 0 for token_id in self.stop_token_ids):
            raise _out_of_range("stop_token_ids", list(self.stop_token_ids), "token ids of 0 or more")
        if not 0 <= self.top_logprobs <= MAX_TOP_LOGPROBS:
            raise _out_of_range("top_logprobs", self.top_logprobs, f"an integer from 0 to {MAX_TOP_LOGPROBS}")
        if self.top_logprobs and not self.logprobs:
            raise _out_of_range("top_logprobs", self.top_logprobs, "0 unless logprobs is true")


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """One prompt and how to continue it. `request_id=None` lets the engine name it.

    `constraint` makes one TokenConstraint for each choice, on the engine thread.
    `continues_text` says that the completion goes on where the prompt's text
    ended, so a space that its first token begins with is kept.
    """

    prompt_tokens: tuple[int, ...]
    params: GenerationParams = field(default_factory=GenerationParams)
    request_id: RequestId | None = None
    constraint: "ConstraintFactory | None" = None
    continues_text: bool = False


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token and its natural-log probability under the raw logits (before penalties, mask, temperature)."""

    token_id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class SampledLogprobs:
    """What was known where one token was chosen: the chosen one, and the likeliest in falling order."""

    chosen: TokenLogprob
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerationChunk:
    """What one step added to one choice.

    `text` may be shorter than the tokens' text (an unfinished character, a
    possible stop string) and is then made up by later chunks. `token_ids` and
    `logprobs` have one entry a token. `matched_stop` is the stop string or
    token id that ended the choice.
    """

    request_id: RequestId
    choice: int
    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[SampledLogprobs, ...] = ()
    finish_reason: FinishReason | None = None
    matched_stop: str | int | None = None


@dataclass(frozen=True, slots=True)
class GenerationChoice:
    """One finished choice, whole."""

    index: int
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    logprobs: tuple[SampledLogprobs, ...] = ()
    matched_stop: str | int | None = None


@dataclass(frozen=True, slots=True)
class GenerationUsage:
    """Tokens counted. `cached_tokens` of the prompt came from the prefix cache."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class GenerationTimings:
    """Seconds on the monotonic clock: waited in the queue, prompt, and generation after the first token."""

    queued: float = 0.0
    prefill: float = 0.0
    decode: float = 0.0


@dataclass(frozen=True, slots=True)
class PrefillProgress:
    """Prompt tokens computed so far, of how many."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class GenerationOutput:
    """What one step means for one request, and, once `finished`, the whole of it.

    `chunks` is what this step added. `choices` is complete when `finished`;
    with `error` it holds what there was before the failure. `dropped_tokens`
    counts prompt tokens that `OverflowPolicy.TRUNCATE_MIDDLE` left out.
    `queue_position` is how many requests are served before this one begins;
    None once it has begun.
    """

    request_id: RequestId
    chunks: tuple[GenerationChunk, ...] = ()
    finished: bool = False
    choices: tuple[GenerationChoice, ...] = ()
    usage: GenerationUsage = GenerationUsage(0, 0)
    timings: GenerationTimings = GenerationTimings()
    prefill: PrefillProgress | None = None
    dropped_tokens: int = 0
    error: SidecarError | None = None
    queue_position: int | None = None

    @property
    def text(self) -> str:
        """Text of the first choice."""
        return self.choices[0].text if self.choices else ""

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Tokens of the first choice."""
        return self.choices[0].token_ids if self.choices else ()

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the first choice ended."""
        return self.choices[0].finish_reason if self.choices else None


class TokenConstraint(Protocol):
    """Which tokens may come next, e.g. a grammar. Driven on the engine thread alone."""

    def fill_mask(self, mask: memoryview) -> None:
        """Write the allowed tokens: bit `token_id % 32` of uint32 word `token_id // 32`, little-endian."""

    def advance(self, token_id: int) -> None:
        """Take the token that was chosen."""

    def is_complete(self) -> bool:
        """Whether nothing but an end of sequence may follow."""


ConstraintFactory = Callable[[], TokenConstraint]


def _out_of_range(name: str, value: object, accepted: str) -> InvalidParams:
    shown = repr(value)
    if len(shown) > MAX_SHOWN_CHARACTERS:
        shown = f"{shown[:MAX_SHOWN_CHARACTERS]}…"
    return InvalidParams(f"{name} is {shown}; it must be {accepted}", parameter=name)


def _at_least(name: str, value: int | None, low: int) -> None:
    if value is not None and value < low:
        raise _out_of_range(name, value, f"an integer of at least {low}")


def _between(name: str, value: float, low: float, high: float, *, above_low: bool = False) -> None:
    if not math.isfinite(value) or value < low or value > high or (above_low and value == low):
        raise _out_of_range(
            name,
            value,
            f"a number {'above' if above_low else 'from'} {low:g} {'up ' if above_low else ''}to {high:g}",
        )
