"""Each sampling parameter against a plain reference, alone and in a batch."""

import math
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sidecar.executors.base import LOGITS_NOT_FINITE, NOTHING_ALLOWED, SamplingParameters
from sidecar.executors.torch.filters import filter_logits
from sidecar.executors.torch.philox import uniform
from sidecar.executors.torch.sampler import Sample, SampleRequest, sample

VOCABULARY = 100
LOGITS = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(3)) * 3


def one(request: SampleRequest, logits: torch.Tensor = LOGITS) -> Sample:
    [chosen] = sample(logits.clone()[None], [request])
    return chosen


def kept(**parameters: float) -> set[int]:
    """Token ids that the filters leave."""
    logits = (LOGITS - LOGITS.max())[None].clone()
    filter_logits(logits, [SamplingParameters(**parameters)])
    return set(torch.nonzero(logits[0].isfinite()).flatten().tolist())


def mask(allowed: set[int]) -> memoryview:
    words = [
        sum(1 << bit for bit in range(32) if word * 32 + bit in allowed)
        for word in range(math.ceil(VOCABULARY / 32))
    ]
    return memoryview(struct.pack(f"<{len(words)}I", *words))


def greedy(**fields: object) -> SamplingParameters:
    return SamplingParameters(temperature=0.0, **fields)


def test_temperature_zero_takes_the_largest_and_of_equals_the_first() -> None:
    assert one(SampleRequest(greedy(), 0)).token_id == int(LOGITS.argmax())
    assert one(SampleRequest(greedy(), 0), torch.tensor([1.0, 5.0, 5.0, 0.0])).token_id == 1


def test_the_draw_inverts_the_cumulative_distribution_in_order_of_token_ids() -> None:
    for position in range(200):
        parameters = SamplingParameters(seed=9, choice=2, temperature=0.8)
        weights = ((LOGITS - LOGITS.max()) / 0.8).exp().double()
        target = uniform(9, 2, position) * weights.sum().item()
        total, expected = 0.0, 0
        for token_id, weight in enumerate(weights.tolist()):
            total += weight
            if total > target:
                expected = token_id
                break
        assert one(SampleRequest(parameters, position)).token_id == expected


def test_frequencies_follow_the_probabilities() -> None:
    logits = torch.tensor([0.0, math.log(2), math.log(5)])
    counts = [0, 0, 0]
    for position in range(4000):
        counts[one(SampleRequest(SamplingParameters(seed=1), position), logits).token_id] += 1
    assert [round(count / 500) for count in counts] == [1, 2, 5]


def test_filters_keep_what_their_definitions_say() -> None:
    order = LOGITS.argsort(descending=True).tolist()
    probabilities = LOGITS.softmax(0)
    assert kept(top_k=7) == set(order[:7])
    total, nucleus = 0.0, set()
    for token_id in order:
        nucleus.add(token_id)
        total += float(probabilities[token_id])
        if total >= 0.8:
            break
    assert kept(top_p=0.8) == nucleus
    bound = 0.1 * probabilities.max()
    assert kept(min_p=0.1) == {i for i in range(VOCABULARY) if probabilities[i] >= bound}
    surprise = -probabilities.log()
    deviation = (surprise - (probabilities * surprise).sum()).abs()
    total, typical = 0.0, set()
    for token_id in deviation.argsort().tolist():
        typical.add(token_id)
        total += float(probabilities[token_id])
        if total >= 0.5:
            break
    assert kept(typical_p=0.5) == typical
    assert kept() == set(range(VOCABULARY))


def test_top_p_is_of_what_top_k_left() -> None:
    assert kept(top_k=3, top_p=0.999) <= kept(top_k=3)
    assert kept(top_k=1, top_p=0.01) == {int(LOGITS.argmax())}


def test_penalties() -> None:
    logits = torch.tensor([2.0, -1.0, 1.9, 0.0])
    repeated = greedy(repetition_penalty=2.0)
    assert one(SampleRequest(repeated, 0, {0: (0, True)}), logits).token_id == 2
    assert one(SampleRequest(repeated, 0, {0: (0, True), 2: (0, True)}), logits).token_id == 0
    often = greedy(frequency_penalty=0.06)
    assert one(SampleRequest(often, 0, {0: (1, False)}), logits).token_id == 0
    assert one(SampleRequest(often, 0, {0: (2, False)}), logits).token_id == 2
    present = greedy(presence_penalty=0.2)
    assert one(SampleRequest(present, 0, {0: (1, False)}), logits).token_id == 2
    assert one(SampleRequest(present, 0, {0: (0, True)}), logits).token_id == 0


def test_bias_forbidden_ids_and_masks() -> None:
    best, second = LOGITS.argsort(descending=True).tolist()[:2]
    assert one(SampleRequest(greedy(logit_bias={5: 100.0}), 0)).token_id == 5
    assert one(SampleRequest(greedy(), 0, forbidden_ids=[best])).token_id == second
    assert one(SampleRequest(greedy(), 0, mask=mask({40, 99}))).token_id == max(
        (40, 99), key=lambda i: LOGITS[i]
    )
    assert one(SampleRequest(SamplingParameters(), 0, mask=mask({99}))).token_id == 99
    assert one(SampleRequest(greedy(), 0, mask=mask(set()))).error == NOTHING_ALLOWED


def test_log_probabilities_are_of_the_raw_logits() -> None:
    raw = LOGITS.log_softmax(0)
    parameters = greedy(logprobs=True, top_logprobs=3, logit_bias={5: 100.0}, repetition_penalty=3.0)
    logprobs = one(SampleRequest(parameters, 0, {7: (1, True)})).logprobs
    assert logprobs is not None
    assert logprobs.chosen.token_id == 5
    assert logprobs.chosen.logprob == pytest.approx(float(raw[5]), abs=1e-5)
    assert [entry.token_id for entry in logprobs.top] == raw.argsort(descending=True).tolist()[:3]
    assert [entry.logprob for entry in logprobs.top] == pytest.approx(
        raw.sort(descending=True).values[:3].tolist()
    )
    assert one(SampleRequest(greedy(), 0)).logprobs is None


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_row_that_is_not_finite_ends_alone(broken: float) -> None:
    logits = torch.stack([LOGITS, LOGITS, LOGITS])
    logits[1, 4] = broken
    results = sample(logits, [SampleRequest(greedy(), 0) for _ in range(3)])
    assert [result.error for result in results] == [None, LOGITS_NOT_FINITE, None]
    assert results[0] == results[2] == one(SampleRequest(greedy(), 0))


PARAMETERS = st.builds(
    SamplingParameters,
    temperature=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 10, 1000]),
    top_p=st.sampled_from([1.0, 0.9, 0.2]),
    min_p=st.sampled_from([0.0, 0.05]),
    typical_p=st.sampled_from([1.0, 0.7]),
    repetition_penalty=st.sampled_from([1.0, 1.3]),
    presence_penalty=st.sampled_from([0.0, 0.5]),
    logit_bias=st.dictionaries(st.integers(0, VOCABULARY - 1), st.floats(-5, 5), max_size=2),
    seed=st.integers(0, 2**64 - 1),
    choice=st.integers(0, 3),
    logprobs=st.booleans(),
)
REQUESTS = st.builds(
    SampleRequest,
    PARAMETERS,
    st.integers(0, 10_000),
    st.dictionaries(st.integers(0, VOCABULARY - 1), st.tuples(st.integers(0, 3), st.booleans()), max_size=4),
    st.lists(st.integers(0, VOCABULARY - 1), max_size=3),
    st.none() | st.sets(st.integers(0, VOCABULARY - 1), min_size=5).map(mask),
)


@given(st.lists(REQUESTS, min_size=1, max_size=6))
def test_company_in_the_batch_changes_no_choice(requests: list[SampleRequest]) -> None:
    together = sample(LOGITS.repeat(len(requests), 1), requests)
    assert [item.token_id for item in together] == [one(request).token_id for request in requests]
    assert [item.error for item in together] == [one(request).error for request in requests]
    for request, item in zip(requests, together, strict=True):
        assert item.error is not None or item.token_id not in request.forbidden_ids
