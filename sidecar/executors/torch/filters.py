"""Which tokens may still be drawn: top_k, typical_p, top_p, min_p, in this order.

Each works on what the one before left, renormalised, and keeps every token that
is as good as the last one it must keep, so that no order of equals matters.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sidecar.executors.base import SamplingParameters

_MINUS_INFINITY = float("-inf")


def filter_logits(
    logits: Tensor, parameters: Sequence[SamplingParameters], rest: Tensor | None = None
) -> None:
    """Set what is filtered out of float32 [rows, tokens] to minus infinity.

    `rest` float64 [rows, 1] is the weight, exp(logit), of tokens that are not
    among these and count for top_p (see `shortlist.py`).
    """
    count = logits.shape[-1]
    unlisted = logits.new_zeros((logits.shape[0], 1), dtype=torch.float64) if rest is None else rest
    _filter(logits, unlisted, [p.top_k if 0 < p.top_k < count else None for p in parameters], _top_k)
    _filter(logits, unlisted, [p.typical_p if p.typical_p < 1 else None for p in parameters], _typical_p)
    _filter(logits, unlisted, [p.top_p if p.top_p < 1 else None for p in parameters], _top_p)
    _filter(logits, unlisted, [p.min_p if p.min_p > 0 else None for p in parameters], _min_p)


def _filter(
    logits: Tensor,
    rest: Tensor,
    limits: Sequence[float | None],
    removed: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> None:
    """Apply one filter to the rows that have a limit for it."""
    rows = [row for row, limit in enumerate(limits) if limit is not None]
    if not rows:
        return
    wanted = torch.tensor([limits[row] for row in rows], dtype=torch.float64, device=logits.device)[:, None]
    if len(rows) == len(limits):
        logits.masked_fill_(removed(logits, wanted, rest), _MINUS_INFINITY)
    else:
        part = logits[rows]
        logits[rows] = part.masked_fill_(removed(part, wanted, rest[rows]), _MINUS_INFINITY)


def _top_k(logits: Tensor, counts: Tensor, _: Tensor) -> Tensor:
    """Keep the k largest."""
    places = counts.to(torch.int64) - 1
    largest = logits.topk(int(places.max()) + 1, dim=-1).values
    return logits < largest.gather(1, places)


def _top_p(logits: Tensor, limits: Tensor, rest: Tensor) -> Tensor:
    """Keep the likeliest tokens that reach the limit together. Holtzman et al. (2020)."""
    weights = logits.exp().to(torch.float64)
    ordered = weights.sort(dim=-1, descending=True).values
    return weights < _last_needed(ordered, ordered, limits * (weights.sum(dim=-1, keepdim=True) + rest))


def _typical_p(logits: Tensor, limits: Tensor, _: Tensor) -> Tensor:
    """Keep tokens of about the expected surprise until they reach the limit. Meister et al. (2022)."""
    probabilities = torch.softmax(logits, dim=-1)
    surprise = torch.log_softmax(logits, dim=-1).neg_()
    expected = (probabilities * surprise.nan_to_num(posinf=0.0)).sum(dim=-1, keepdim=True)
    deviation = (surprise - expected).abs_()
    ordered, order = deviation.sort(dim=-1)
    return deviation > _last_needed(ordered, probabilities.gather(1, order), limits)


def _last_needed(ordered: Tensor, weights: Tensor, limits: Tensor) -> Tensor:
    """The entry of `ordered` at which the sum of `weights` reaches the limit, [rows, 1]."""
    cumulative = weights.cumsum(dim=-1, dtype=torch.float64)
    place = (cumulative < limits).sum(dim=-1, keepdim=True).clamp_(max=ordered.shape[-1] - 1)
    return ordered.gather(1, place)


def _min_p(logits: Tensor, limits: Tensor, _: Tensor) -> Tensor:
    """Keep tokens at least `limit` times as likely as the likeliest."""
    return logits < logits.amax(dim=-1, keepdim=True) + limits.log().to(logits.dtype)
