"""The filters against their definitions, written out one token at a time."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sidecar.executors.base import SamplingParameters
from sidecar.executors.torch.filters import filter_logits
from sidecar.executors.torch.shortlist import has_shortlist, shortlist

Kept = set[int]
VOCABULARY = 40


def softmax(logits: Sequence[float], among: Kept) -> dict[int, float]:
    total = sum(math.exp(logits[token]) for token in among)
    return {token: math.exp(logits[token]) / total for token in among}


def until(ordered: list[int], probabilities: dict[int, float], limit: float) -> Kept:
    kept: Kept = set()
    reached = 0.0
    for token in ordered:
        kept.add(token)
        reached += probabilities[token]
        if reached >= limit:
            break
    return kept


def top_k(logits: Sequence[float], among: Kept, count: int) -> Kept:
    return set(sorted(among, key=lambda token: -logits[token])[:count]) if count else among


def top_p(logits: Sequence[float], among: Kept, limit: float) -> Kept:
    probabilities = softmax(logits, among)
    return (
        until(sorted(among, key=lambda token: -logits[token]), probabilities, limit) if limit < 1 else among
    )


def typical_p(logits: Sequence[float], among: Kept, limit: float) -> Kept:
    probabilities = softmax(logits, among)
    entropy = -sum(p * math.log(p) for p in probabilities.values())
    ordered = sorted(among, key=lambda token: abs(-math.log(probabilities[token]) - entropy))
    return until(ordered, probabilities, limit) if limit < 1 else among


def min_p(logits: Sequence[float], among: Kept, limit: float) -> Kept:
    probabilities = softmax(logits, among)
    best = max(probabilities.values())
    return {token for token, p in probabilities.items() if p >= limit * best}


def expected(logits: Sequence[float], parameters: SamplingParameters) -> Kept:
    kept = top_k(logits, set(range(len(logits))), parameters.top_k)
    kept = typical_p(logits, kept, parameters.typical_p)
    kept = top_p(logits, kept, parameters.top_p)
    return min_p(logits, kept, parameters.min_p)


def kept_by_filters(rows: Sequence[Sequence[float]], parameters: Sequence[SamplingParameters]) -> list[Kept]:
    logits = torch.tensor(rows, dtype=torch.float64)
    logits = (logits - logits.amax(dim=-1, keepdim=True)).to(torch.float32)
    filter_logits(logits, parameters)
    return [set(row.isfinite().nonzero()[:, 0].tolist()) for row in logits]


def random_logits(seed: int) -> list[float]:
    generator = random.Random(seed)
    return [generator.gauss(0, 2) for _ in range(VOCABULARY)]


# Limits that no sum of a few probabilities meets exactly, so that rounding decides nothing.
LIMITS = st.sampled_from([0.0137, 0.173, 0.497, 0.773, 0.911, 0.9973, 1.0])
PARAMETERS = st.builds(
    SamplingParameters,
    top_k=st.sampled_from([0, 1, 3, 17, 40, 100]),
    typical_p=LIMITS,
    top_p=LIMITS,
    min_p=st.sampled_from([0.0, 0.0173, 0.31, 0.77, 1.0]),
)


@given(st.lists(st.tuples(st.integers(0, 10**6), PARAMETERS), min_size=1, max_size=4))
def test_filters_keep_what_their_definitions_keep(cases: list[tuple[int, SamplingParameters]]) -> None:
    rows = [random_logits(seed) for seed, _ in cases]
    parameters = [item for _, item in cases]
    found = kept_by_filters(rows, parameters)
    assert found == [expected(row, item) for row, item in zip(rows, parameters, strict=True)]


@pytest.mark.parametrize(
    "parameters",
    [SamplingParameters(top_k=2), SamplingParameters(top_p=0.5), SamplingParameters(min_p=0.9)],
    ids=["top_k", "top_p", "min_p"],
)
def test_equals_of_the_last_kept_token_are_kept(parameters: SamplingParameters) -> None:
    [kept] = kept_by_filters([[0.0, 5.0, 5.0, 5.0, 0.0]], [parameters])
    assert kept == {1, 2, 3}


def test_typical_p_may_drop_the_likeliest() -> None:
    """One token of 0.4 among sixty of 0.01 is less surprising than what is expected."""
    logits = [math.log(0.4), *[math.log(0.01)] * 60]
    [kept] = kept_by_filters([logits], [SamplingParameters(typical_p=0.3)])
    assert kept == set(range(1, 61))


@given(st.lists(st.tuples(st.integers(0, 10**6), PARAMETERS), min_size=1, max_size=4), st.floats(0.5, 5))
def test_a_shortlist_changes_nothing(cases: list[tuple[int, SamplingParameters]], spread: float) -> None:
    """Vocabularies of no whole number of parts, top_k above and below that number."""
    vocabulary = 1000
    parameters = [replace(item, typical_p=1.0) for _, item in cases]
    generator = torch.Generator().manual_seed(cases[0][0])
    logits = torch.randn(len(cases), vocabulary, generator=generator) * spread
    logits -= logits.amax(dim=-1, keepdim=True)
    tokens = shortlist(logits, parameters)
    assert bool((tokens.token_ids.diff(dim=-1) > 0)[tokens.logits[:, 1:].isfinite()].all())
    filter_logits(tokens.logits, parameters, tokens.rest)
    filter_logits(logits, parameters)
    for row in range(len(cases)):
        kept = tokens.token_ids[row][tokens.logits[row].isfinite()]
        assert torch.equal(kept, logits[row].isfinite().nonzero()[:, 0])


def test_a_shortlist_is_short_where_the_model_is_sure() -> None:
    logits = torch.randn(1, 49152, generator=torch.Generator().manual_seed(0)) - 20
    logits[0, [7, 40000]] = torch.tensor([0.0, -1.0])
    for parameters in (
        SamplingParameters(top_p=0.9),
        SamplingParameters(top_k=5),
        SamplingParameters(min_p=0.1),
    ):
        assert has_shortlist(parameters, 49152)
        assert shortlist(logits, [parameters]).token_ids.shape[1] < 1000
    assert not has_shortlist(SamplingParameters(), 49152)
    assert not has_shortlist(SamplingParameters(top_p=0.9, typical_p=0.9), 49152)
