"""Which tokens may still be drawn: top_k, typical_p, top_p, min_p, in this order.

Each works on what the one before left, renormalised, and keeps every token that
is as good as the last one it must keep, so that no order of equals matters.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sidecar.executors.base import SamplingParameters

_MINUS_INFINITY = float("-inf")


def filter_logits(logits: Tensor, parameters: Sequence[SamplingParameters]) -> None:
    """Set what is filtered out of float32 [rows, vocabulary] to minus infinity."""
    vocabulary = logits.shape[-1]
    _filter(logits, [p.top_k if 0 < p.top_k < vocabulary else None for p in parameters], _top_k)
    _filter(logits, [p.typical_p if p.typical_p < 1 else None for p in parameters], _typical_p)
    _filter(logits, [p.top_p if p.top_p < 1 else None for p in parameters], _top_p)
    _filter(logits, [p.min_p if p.min_p > 0 else None for p in parameters], _min_p)


def _filter(
    logits: Tensor, limits: Sequence[float | None], removed: Callable[[Tensor, Tensor], Tensor]
) -> None:
    """Apply one filter to the rows that have a limit for it."""
    rows = [row for row, limit in enumerate(limits) if limit is not None]
    if not rows:
        return
    wanted = torch.tensor([limits[row] for row in rows], dtype=torch.float64, device=logits.device)[:, None]
    if len(rows) == len(limits):
        logits.masked_fill_(removed(logits, wanted), _MINUS_INFINITY)
    else:
        part = logits[rows]
        logits[rows] = part.masked_fill_(removed(part, wanted), _MINUS_INFINITY)


def _top_k(logits: Tensor, counts: Tensor) -> Tensor:
    """Keep the k largest."""
    places = counts.to(torch.int64) - 1
    largest = logits.topk(int(places.max()) + 1, dim=-1).values
    return logits < largest.gather(1, places)


def _top_p(logits: Tensor, limits: Tensor) -> Tensor:
    """Keep the likeliest tokens that reach the limit together. Holtzman et al. (2020).

    Tokens less likely than (1 - limit) / vocabulary make up less than 1 - limit
    together, so none of them is needed: only the others are sorted.
    """
    probabilities = torch.softmax(logits, dim=-1)
    needed = probabilities >= (1 - limits) / logits.shape[-1]
    count = max(1, int(needed.sum(dim=-1).max()))
    largest = probabilities.topk(count, dim=-1).values
    return probabilities < _last_needed(largest, largest, limits)


def _typical_p(logits: Tensor, limits: Tensor) -> Tensor:
    """Keep tokens of nearly expected surprise until they reach the limit. Meister et al. (2022)."""
    probabilities = torch.softmax(logits, dim=-1)
    surprise = torch.log_softmax(logits, dim=-1).neg_()
    expected = (probabilities * surprise.nan_to_num(posinf=0.0)).sum(dim=-1, keepdim=True)
    deviation = (surprise - expected).abs_()
    ordered, order = deviation.sort(dim=-1)
    return deviation > _last_needed(ordered, probabilities.gather(1, order), limits)


def _last_needed(ordered: Tensor, probabilities: Tensor, limits: Tensor) -> Tensor:
    """The entry of `ordered` at which the sum of `probabilities` reaches the limit, [rows, 1]."""
    cumulative = probabilities.cumsum(dim=-1, dtype=torch.float64)
    place = (cumulative < limits).sum(dim=-1, keepdim=True).clamp_(max=ordered.shape[-1] - 1)
    return ordered.gather(1, place)


def _min_p(logits: Tensor, limits: Tensor) -> Tensor:
    """Keep tokens at least `limit` times as likely as the likeliest."""
    return logits < logits.amax(dim=-1, keepdim=True) + limits.log().to(logits.dtype)
