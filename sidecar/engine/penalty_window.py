"""Which tokens the penalties count, kept up token by token."""

from collections import deque
from collections.abc import Iterable


class PenaltyWindow:
    """Counts of the last `length` tokens of a sequence (-1: of all).

    `counts` maps a token id to (times generated, whether it is in the prompt),
    both within the window; it is the same mapping throughout.
    """

    __slots__ = ("_length", "_prompt_counts", "_tokens", "counts")

    def __init__(self, prompt_tokens: Iterable[int], length: int) -> None:
        self.counts: dict[int, tuple[int, bool]] = {}
        self._length = length
        self._prompt_counts: dict[int, int] = {}
        # (token id, from the prompt) of everything that may still leave the window.
        self._tokens: deque[tuple[int, bool]] = deque()
        for token_id in prompt_tokens:
            self._add(token_id, from_prompt=True)

    def append(self, token_id: int) -> None:
        """Count a generated token."""
        self._add(token_id, from_prompt=False)

    def _add(self, token_id: int, *, from_prompt: bool) -> None:
        if self._length == 0:
            return
        self._change(token_id, 1, from_prompt=from_prompt)
        if self._length > 0:
            self._tokens.append((token_id, from_prompt))
            if len(self._tokens) > self._length:
                left, left_prompt = self._tokens.popleft()
                self._change(left, -1, from_prompt=left_prompt)

    def _change(self, token_id: int, difference: int, *, from_prompt: bool) -> None:
        generated = self.counts.get(token_id, (0, False))[0]
        in_prompt = self._prompt_counts.get(token_id, 0)
        if from_prompt:
            in_prompt += difference
            self._prompt_counts[token_id] = in_prompt
        else:
            generated += difference
        if generated or in_prompt:
            self.counts[token_id] = (generated, in_prompt > 0)
        else:
            del self.counts[token_id]
