"""Medians and spreads of repeated measurements."""

import math
import statistics
from collections.abc import Sequence

import msgspec


class Summary(msgspec.Struct, frozen=True):
    """The median of some numbers, the lowest and the highest of them."""

    median: float
    low: float
    high: float


def summarize(values: Sequence[float]) -> Summary:
    """The summary of one number or more. Raises ValueError for none."""
    if not values:
        raise ValueError("there is nothing to summarize; at least one value is needed")
    return Summary(statistics.median(values), min(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Summary:
    """Ours divided by theirs, round by round, so that what slows a whole round cancels out.

    Raises ValueError when the rounds do not match, or one of theirs is not above 0.
    """
    if any(value <= 0 for value in theirs):
        raise ValueError(f"measurements must be above 0; they are {list(theirs)}")
    return summarize([our / their for our, their in zip(ours, theirs, strict=True)])


def percentile(values: Sequence[float], fraction: float) -> float:
    """The smallest value that at least `fraction` (0 to 1) of the values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("there is nothing to take a percentile of; at least one value is needed")
    rank = max(1, math.ceil(fraction * len(values)))
    return sorted(values)[rank - 1]
