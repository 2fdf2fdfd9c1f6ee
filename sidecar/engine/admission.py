"""What is checked before a request may wait: its tokens exist, its prompt fits."""

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.errors import ContextOverflow, InvalidParams
from sidecar.generation import GenerationParams, OverflowPolicy


@dataclass(frozen=True, slots=True)
class Admission:
    """A prompt as it will be computed, and how many tokens may follow it."""

    prompt_tokens: Sequence[int]
    max_tokens: int
    dropped_tokens: int = 0


def admit(
    prompt_tokens: Sequence[int], params: GenerationParams, *, context_length: int, vocab_size: int
) -> Admission:
    """Check a prompt and apply the request's OverflowPolicy.

    A prompt must leave room for one token at least. Raises InvalidParams and
    ContextOverflow. With `stop_at_limit` a prompt that leaves none is taken,
    with `max_tokens` 0.
    """
    _check_tokens("prompt_tokens", prompt_tokens, vocab_size)
    _check_tokens("stop_token_ids", params.stop_token_ids, vocab_size)
    _check_tokens("logit_bias", tuple(params.logit_bias), vocab_size)
    if not prompt_tokens:
        raise InvalidParams(
            "prompt_tokens is empty; it must have a token at least", parameter="prompt_tokens"
        )
    dropped = 0
    if len(prompt_tokens) >= context_length:
        if params.overflow is OverflowPolicy.ERROR:
            raise ContextOverflow(
                f"the prompt has {len(prompt_tokens)} tokens; with the first token of the answer "
                f"{context_length} fit into the context",
                data={"prompt_tokens": len(prompt_tokens), "context_length": context_length},
            )
        if params.overflow is OverflowPolicy.TRUNCATE_MIDDLE:
            kept = _without_middle(prompt_tokens, params, context_length)
            dropped = len(prompt_tokens) - len(kept)
            prompt_tokens = kept
    room = max(0, context_length - len(prompt_tokens))
    return Admission(
        prompt_tokens, room if params.max_tokens is None else min(room, params.max_tokens), dropped
    )


def _without_middle(
    prompt_tokens: Sequence[int], params: GenerationParams, context_length: int
) -> Sequence[int]:
    """The beginning and the end of a prompt, with room for the answer: `max_tokens`, but at most half."""
    answer = min(params.max_tokens or context_length // 4, context_length // 2)
    kept = max(1, context_length - max(1, answer))
    head = kept // 2
    return [*prompt_tokens[:head], *prompt_tokens[len(prompt_tokens) - (kept - head) :]]


def _check_tokens(name: str, token_ids: Sequence[int], vocab_size: int) -> None:
    if token_ids and not (min(token_ids) >= 0 and max(token_ids) < vocab_size):
        wrong = next(token_id for token_id in token_ids if not 0 <= token_id < vocab_size)
        raise InvalidParams(
            f"{name} has {wrong}; token ids of this model are 0 to {vocab_size - 1}", parameter=name
        )
