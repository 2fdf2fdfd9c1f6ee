"""Leaving out tokens that no filter can keep, so that filters sort some hundred tokens, not the vocabulary.

A shortlist holds every token that can pass top_k, top_p and min_p, and more; the
filters then decide exactly as they would on all tokens. typical_p may keep any
token, so a row with it has no shortlist.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sidecar.executors.base import SamplingParameters

CHUNK_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Listed tokens of some rows, in the order of their ids, padded with minus infinity.

    `logits` float32 and `token_ids` int64 are [rows, listed]; `rest` float64
    [rows, 1] is the weight, exp(logit), of all tokens that are not listed and yet
    count for top_p.
    """

    logits: Tensor
    token_ids: Tensor
    rest: Tensor


def has_shortlist(parameters: SamplingParameters, vocabulary: int) -> bool:
    """Whether these parameters leave so many tokens out that a list is worth while."""
    is_filtered = parameters.top_p < 1 or parameters.min_p > 0 or 0 < parameters.top_k < vocabulary
    return is_filtered and parameters.typical_p >= 1


def shortlist(logits: Tensor, parameters: Sequence[SamplingParameters]) -> Shortlist:
    """The shortlist of float32 [rows, vocabulary], the largest of each row being 0."""
    total = logits.exp().sum(dim=-1, keepdim=True, dtype=torch.float64)
    is_listed = logits >= _floors(logits, total, parameters)
    rows, token_ids = is_listed.nonzero(as_tuple=True)
    counts = is_listed.sum(dim=-1)
    columns = torch.arange(rows.shape[0], device=logits.device) - (counts.cumsum(0) - counts)[rows]
    shape = (logits.shape[0], max(1, int(counts.max())))
    listed = logits.new_full(shape, -math.inf)
    listed[rows, columns] = logits[rows, token_ids]
    listed_ids = torch.zeros(shape, dtype=torch.int64, device=logits.device)
    listed_ids[rows, columns] = token_ids
    rest = total - listed.exp().sum(dim=-1, keepdim=True, dtype=torch.float64)
    has_top_k = torch.tensor([[item.top_k > 0] for item in parameters], device=logits.device)
    return Shortlist(listed, listed_ids, rest.clamp_(min=0).masked_fill_(has_top_k, 0))


def _floors(logits: Tensor, total: Tensor, parameters: Sequence[SamplingParameters]) -> Tensor:
    """For each row a logit below which nothing can pass its filters, float32 [rows, 1].

    Tokens rarer than (1 - top_p) / vocabulary make up less than 1 - top_p
    together, so top_p never needs one. With top_k, the k-th largest of the
    maxima of k or more parts of the vocabulary cannot be above the k-th largest
    logit.
    """
    rarest = torch.tensor([(1 - item.top_p) / logits.shape[-1] for item in parameters], dtype=torch.float64)
    smallest = torch.tensor([item.min_p for item in parameters], dtype=torch.float64)
    floors = torch.maximum((total[:, 0] * rarest.to(logits.device)).log(), smallest.to(logits.device).log())
    limited = [row for row, item in enumerate(parameters) if item.top_k > 0]
    if limited:
        chunks = logits.shape[-1] // CHUNK_TOKENS
        parts = logits[limited, : chunks * CHUNK_TOKENS].view(len(limited), chunks, CHUNK_TOKENS)
        maxima = parts.amax(dim=-1).sort(dim=-1, descending=True).values.to(torch.float64)
        for place, row in enumerate(limited):
            count = parameters[row].top_k
            floors[row] = maxima[place, count - 1] if count <= chunks else -math.inf
    return floors[:, None].to(logits.dtype)
