"""Choosing tokens from logits, for all sampled positions of a step at once.

The rule, the same for every executor:

1. Log probabilities that are reported come from the raw logits.
2. Penalties, for each token counted within repeat_last_n. Repetition divides a
   positive logit and multiplies a negative one; frequency is subtracted for
   each time the token was generated, presence once if it was generated at all.
3. logit_bias is added; forbidden and unmasked tokens get minus infinity.
4. Temperature 0: the largest logit, of equal ones the smallest token id.
5. Otherwise logits are divided by the temperature and filtered (`filters.py`).
6. The draw inverts the cumulative distribution in the order of token ids: with
   weight(i) = exp(logit(i) - largest logit before the filters) in float32, 0 for
   what they removed, and sums in float64, the token is the smallest i with
   weight(0) + … + weight(i) > u * total weight, where u is
   `philox.uniform(seed, choice, position)`. No sorting is needed, and a tiny
   change of the logits moves borders between tokens only a little.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sidecar.executors.base import LOGITS_NOT_FINITE, NOTHING_ALLOWED, SamplingParameters
from sidecar.executors.torch.filters import filter_logits
from sidecar.executors.torch.philox import uniform
from sidecar.executors.torch.shortlist import has_shortlist, shortlist
from sidecar.executors.torch.views import tensor_view
from sidecar.generation import SampledLogprobs, TokenLogprob

_MINUS_INFINITY = float("-inf")
_BITS_OF_BYTE = ((torch.arange(256)[:, None] >> torch.arange(8)) & 1).to(torch.bool)


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """How to choose the token that will stand at `position`; the fields are those of ExecutionRow."""

    parameters: SamplingParameters
    position: int
    penalty_counts: Mapping[int, tuple[int, bool]] = field(default_factory=dict)
    forbidden_ids: Sequence[int] = ()
    mask: memoryview | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """The chosen token, or why there is none."""

    token_id: int = -1
    logprobs: SampledLogprobs | None = None
    error: str | None = None


def sample(logits: Tensor, requests: Sequence[SampleRequest]) -> list[Sample]:
    """One Sample for each row of float32 [requests, vocabulary], which is changed in place."""
    finite = logits.sum(dim=-1).isfinite().tolist()
    logprobs = _Logprobs(logits, requests)
    _adjust(logits, requests)
    token_ids, best = _choose(logits, requests)
    return [
        Sample(error=LOGITS_NOT_FINITE)
        if not finite[row]
        else Sample(error=NOTHING_ALLOWED)
        if best[row] == _MINUS_INFINITY
        else Sample(token_ids[row], logprobs.of(row, token_ids[row]))
        for row in range(len(requests))
    ]


class _Logprobs:
    """Log probabilities of the raw logits, for the rows that want them."""

    def __init__(self, logits: Tensor, requests: Sequence[SampleRequest]) -> None:
        self._requests = requests
        rows = [row for row, request in enumerate(requests) if request.parameters.logprobs]
        self._place = {row: place for place, row in enumerate(rows)}
        if not rows:
            return
        self._all = torch.log_softmax(logits[rows], dim=-1)
        count = min(max(requests[row].parameters.top_logprobs for row in rows), logits.shape[-1])
        top = self._all.topk(count, dim=-1)
        self._top_values: list[list[float]] = top.values.tolist()
        self._top_ids: list[list[int]] = top.indices.tolist()

    def of(self, row: int, token_id: int) -> SampledLogprobs | None:
        place = self._place.get(row)
        if place is None:
            return None
        pairs = zip(self._top_ids[place], self._top_values[place], strict=True)
        wanted = self._requests[row].parameters.top_logprobs
        return SampledLogprobs(
            TokenLogprob(token_id, float(self._all[place, token_id])),
            tuple(TokenLogprob(top_id, value) for top_id, value in list(pairs)[:wanted]),
        )


def _adjust(logits: Tensor, requests: Sequence[SampleRequest]) -> None:
    """Penalties, bias, forbidden ids and masks."""
    vocabulary = logits.shape[-1]
    penalized: list[tuple[int, int, float, float]] = []
    biased: list[tuple[int, int, float]] = []
    for row, request in enumerate(requests):
        parameters = request.parameters
        factor = parameters.repetition_penalty
        frequency, presence = parameters.frequency_penalty, parameters.presence_penalty
        if factor != 1.0 or frequency or presence:
            penalized.extend(
                (row, token_id, factor, frequency * times + (presence if times else 0.0))
                for token_id, (times, _) in request.penalty_counts.items()
            )
        biased.extend((row, *entry) for entry in parameters.logit_bias.items() if entry[0] < vocabulary)
        biased.extend((row, token_id, _MINUS_INFINITY) for token_id in request.forbidden_ids)
    if penalized:
        rows, token_ids, factors, subtracted = _columns(penalized, logits.device)
        place = (rows.to(torch.int64), token_ids.to(torch.int64))
        values = logits[place]
        values = torch.where(values > 0, values / factors, values * factors)
        logits[place] = (values - subtracted).to(torch.float32)
    if biased:
        rows, token_ids, added = _columns(biased, logits.device)
        place = (rows.to(torch.int64), token_ids.to(torch.int64))
        logits.index_put_(place, added.to(torch.float32), accumulate=True)
    _apply_masks(logits, requests)


def _columns(entries: Sequence[tuple[float, ...]], device: torch.device) -> Sequence[Tensor]:
    return torch.tensor(entries, dtype=torch.float64).to(device).unbind(dim=1)


def _apply_masks(logits: Tensor, requests: Sequence[SampleRequest]) -> None:
    rows = [row for row, request in enumerate(requests) if request.mask is not None]
    if not rows:
        return
    vocabulary = logits.shape[-1]
    words = math.ceil(vocabulary / 32)
    masks = [request.mask.cast("B") for request in requests if request.mask is not None]
    packed = torch.stack([tensor_view(mask, torch.uint8, (words * 4,)) for mask in masks])
    allowed = _BITS_OF_BYTE.index_select(0, packed.flatten().to(torch.int64))
    forbidden = ~allowed.view(len(rows), -1)[:, :vocabulary].to(logits.device)
    if len(rows) == len(requests):
        logits.masked_fill_(forbidden, _MINUS_INFINITY)
    else:
        logits[rows] = logits[rows].masked_fill_(forbidden, _MINUS_INFINITY)


def _choose(logits: Tensor, requests: Sequence[SampleRequest]) -> tuple[list[int], list[float]]:
    """The chosen tokens, and each row's largest logit before temperature."""
    best, token_ids = logits.max(dim=-1)
    chosen: list[int] = token_ids.tolist()
    drawn = [row for row, request in enumerate(requests) if request.parameters.temperature > 0]
    listed = [row for row in drawn if has_shortlist(requests[row].parameters, logits.shape[-1])]
    whole = sorted(set(drawn) - set(listed))
    for rows, draw in ((listed, _draw_from_shortlist), (whole, _draw_from_all)):
        if rows:
            part = _scaled(logits, best, rows, requests)
            for row, token_id in zip(rows, draw(part, [requests[row] for row in rows]), strict=True):
                chosen[row] = token_id
    return chosen, best.tolist()


def _scaled(logits: Tensor, best: Tensor, rows: Sequence[int], requests: Sequence[SampleRequest]) -> Tensor:
    """Some rows' logits divided by their temperatures, the largest of each being 0."""
    temperatures = torch.tensor([requests[row].parameters.temperature for row in rows], device=logits.device)
    part = logits if len(rows) == len(requests) else logits[rows]
    return part.sub_(best[rows, None]).div_(temperatures[:, None])


def _draw_from_shortlist(logits: Tensor, requests: Sequence[SampleRequest]) -> list[int]:
    parameters = [request.parameters for request in requests]
    tokens = shortlist(logits, parameters)
    filter_logits(tokens.logits, parameters, tokens.rest)
    found: list[int] = tokens.token_ids.gather(1, _draw(tokens.logits, requests))[:, 0].tolist()
    return found


def _draw_from_all(logits: Tensor, requests: Sequence[SampleRequest]) -> list[int]:
    filter_logits(logits, [request.parameters for request in requests])
    found: list[int] = _draw(logits, requests)[:, 0].tolist()
    return found


def _draw(logits: Tensor, requests: Sequence[SampleRequest]) -> Tensor:
    """Invert the cumulative distribution of each row: the column drawn, int64 [rows, 1]."""
    numbers = [uniform(r.parameters.seed, r.parameters.choice, r.position) for r in requests]
    cumulative = logits.exp_().cumsum(dim=-1, dtype=torch.float64)
    targets = torch.tensor(numbers, dtype=torch.float64, device=logits.device)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, targets, right=True).clamp_(max=logits.shape[-1] - 1)
