"""From sampled tokens to text, and the decision that a choice has ended.

One `ChoiceWriter` a choice, on the engine thread, so that a stop takes effect
in the step that met it and usage is exact. Knows nothing of blocks and steps.
"""

from collections.abc import Mapping, Sequence

from sidecar.engine.penalty_window import PenaltyWindow
from sidecar.generation import (
    FinishReason,
    GenerationChoice,
    GenerationChunk,
    GenerationParams,
    RequestId,
    SampledLogprobs,
    TokenConstraint,
)
from sidecar.text.detokenizer import IncrementalDetokenizer
from sidecar.text.stops import StopMatcher
from sidecar.text.tokenizer import Tokenizer


class ChoiceWriter:
    """Takes a choice's tokens one by one.

    An end-of-sequence or stop token counts among the tokens, but not in the
    text; a stop string is in neither the text nor any chunk, not even in part.
    """

    def __init__(
        self,
        *,
        request_id: RequestId,
        index: int,
        prompt_tokens: Sequence[int],
        params: GenerationParams,
        max_tokens: int,
        tokenizer: Tokenizer,
        eos_token_ids: Sequence[int],
        vocab_size: int,
        constraint: TokenConstraint | None = None,
        continues_text: bool = False,
    ) -> None:
        self.index = index
        self.token_ids: list[int] = []
        self.finish_reason: FinishReason | None = None
        self._constraint = constraint
        self._request_id = request_id
        self._params = params
        self._max_tokens = max_tokens
        self._eos = frozenset() if params.ignore_eos else frozenset(eos_token_ids)
        self._stop_tokens = frozenset(params.stop_token_ids)
        self._enders = sorted(self._eos | self._stop_tokens)
        self._detokenizer = IncrementalDetokenizer(
            tokenizer, params.skip_special_tokens, continues=continues_text
        )
        self._stops = StopMatcher(params.stop) if params.stop else None
        self._penalties = (
            PenaltyWindow(prompt_tokens, params.repeat_last_n) if _has_penalties(params) else None
        )
        self._mask = bytearray(-(-vocab_size // 32) * 4) if constraint is not None else None
        self._texts: list[str] = []
        self._logprobs: list[SampledLogprobs] = []
        self._matched_stop: str | int | None = None
        # How much of the above earlier chunks carried.
        self._sent_tokens = 0
        self._sent_texts = 0
        self._sent_finish = False

    @property
    def penalty_counts(self) -> Mapping[int, tuple[int, bool]]:
        """Token id → (times generated, in prompt) for the penalties; empty when none is asked for."""
        return {} if self._penalties is None else self._penalties.counts

    @property
    def forbidden_ids(self) -> Sequence[int]:
        """Tokens that may not come next: those that would end the choice before `min_tokens`."""
        return self._enders if len(self.token_ids) < self._params.min_tokens else ()

    @property
    def has_news(self) -> bool:
        """Whether something was added that no chunk has carried yet."""
        return self._sent_tokens < len(self.token_ids) or (
            self.finish_reason is not None and not self._sent_finish
        )

    def next_mask(self) -> memoryview | None:
        """The tokens that the constraint allows next, or None without one."""
        if self._constraint is None or self._mask is None:
            return None
        mask = memoryview(self._mask)
        self._constraint.fill_mask(mask)
        return mask

    def take(self, token_id: int, logprobs: SampledLogprobs | None) -> None:
        """Add a sampled token; sets `finish_reason` when it is the last."""
        assert self.finish_reason is None, "a token came after the end"
        self.token_ids.append(token_id)
        if logprobs is not None:
            self._logprobs.append(logprobs)
        if self._penalties is not None:
            self._penalties.append(token_id)
        if token_id in self._eos:
            self.finish(FinishReason.STOP, matched_stop=token_id)
        elif token_id in self._stop_tokens:
            self.finish(FinishReason.STOP_SEQUENCE, matched_stop=token_id)
        else:
            if self._write(self._detokenizer.push(token_id)):
                return
            if self._completes_constraint(token_id):
                self.finish(FinishReason.STOP)
            elif len(self.token_ids) >= self._max_tokens:
                self.finish(FinishReason.LENGTH)

    def finish(self, reason: FinishReason, *, matched_stop: str | int | None = None) -> None:
        """End the choice; text that was held back is released, and may still complete a stop string."""
        if self._write(self._detokenizer.flush()):
            return
        if self._stops is not None:
            self._texts.append(self._stops.flush())
        self.finish_reason = reason
        self._matched_stop = matched_stop

    def abandon(self) -> None:
        """End the choice with an error, touching nothing that may be broken."""
        self.finish_reason = FinishReason.ERROR

    def take_chunk(self) -> GenerationChunk:
        """What was added since the last chunk."""
        chunk = GenerationChunk(
            self._request_id,
            self.index,
            "".join(self._texts[self._sent_texts :]),
            tuple(self.token_ids[self._sent_tokens :]),
            tuple(self._logprobs[self._sent_tokens :]),
            self.finish_reason,
            self._matched_stop,
        )
        self._sent_texts = len(self._texts)
        self._sent_tokens = len(self.token_ids)
        self._sent_finish = self.finish_reason is not None
        return chunk

    def choice(self) -> GenerationChoice:
        """The finished choice, whole."""
        assert self.finish_reason is not None
        return GenerationChoice(
            self.index,
            "".join(self._texts),
            tuple(self.token_ids),
            self.finish_reason,
            tuple(self._logprobs),
            self._matched_stop,
        )

    def _completes_constraint(self, token_id: int) -> bool:
        if self._constraint is None:
            return False
        self._constraint.advance(token_id)
        return self._constraint.is_complete()

    def _write(self, text: str) -> bool:
        """Add text; whether it completed a stop string and so ended the choice."""
        # The first `min_tokens` tokens end nothing, neither by themselves nor by their text.
        if self._stops is None or len(self.token_ids) <= self._params.min_tokens:
            self._texts.append(text)
            return False
        match = self._stops.push(text)
        self._texts.append(match.text)
        if match.matched is None:
            return False
        self.finish_reason = FinishReason.STOP_SEQUENCE
        self._matched_stop = match.matched
        return True


def _has_penalties(params: GenerationParams) -> bool:
    return (
        params.repetition_penalty != 1.0 or params.frequency_penalty != 0.0 or params.presence_penalty != 0.0
    )
