"""The native sampler against the torch one: the same token for the same logits, on every kernel path."""

import ctypes
import math
import struct
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sidecar.executors.base import (
    LOGITS_NOT_FINITE,
    NOTHING_ALLOWED,
    ExecutionBatch,
    ExecutionRow,
    RowResult,
    SamplingParameters,
)
from sidecar.executors.native.batch import PackedBatch
from sidecar.executors.native.library import Sample, kernel_paths, last_error, native_library
from sidecar.executors.torch.philox import uniform
from sidecar.executors.torch.sampler import SampleRequest, sample

PATHS = [name for name, is_usable in kernel_paths() if is_usable]
VOCABULARY = 100
LOGITS = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(3)) * 3
SLACK = 1e-6
"""How far from a border a number may lie for float32 rounding to decide on which side."""


def choose(row: ExecutionRow, logits: Tensor, path: str = "auto") -> RowResult:
    """What the native sampler makes of raw logits float32 [row.samples, vocabulary]."""
    packed = PackedBatch(ExecutionBatch([row]), logits.shape[-1])
    batch = packed.structure()
    for offset in range(row.samples):
        first = packed.top_logprobs * offset
        assert not native_library().native_test_sample(
            path.encode(),
            logits[offset].data_ptr(),
            logits.shape[-1],
            ctypes.byref(batch),
            0,
            offset,
            ctypes.byref(packed.samples, offset * ctypes.sizeof(Sample)),
            packed.top_tokens.buffer_info()[0] + first * packed.top_tokens.itemsize,
            packed.top_values.buffer_info()[0] + first * packed.top_values.itemsize,
        ), last_error()
    [result] = packed.results()
    return result


def row_of(request: SampleRequest) -> ExecutionRow:
    """A row that asks for one token, at the request's position."""
    return ExecutionRow(
        token_ids=[0],
        start=request.position - 1,
        block_table=[0] * math.ceil(request.position / 16),
        sampling=request.parameters,
        penalty_counts=request.penalty_counts,
        forbidden_ids=request.forbidden_ids,
        masks=[request.mask] if request.mask is not None else [],
    )


def one(request: SampleRequest, logits: Tensor = LOGITS, path: str = "auto") -> RowResult:
    return choose(row_of(request), logits[None].contiguous(), path)


def token(
    parameters: SamplingParameters, logits: Sequence[float] | Tensor = LOGITS, position: int = 1
) -> int:
    [chosen] = one(SampleRequest(parameters, position), torch.as_tensor(logits)).token_ids
    return chosen


def greedy(**fields: object) -> SamplingParameters:
    return SamplingParameters(temperature=0.0, **fields)


def mask(allowed: set[int], vocabulary: int = VOCABULARY) -> memoryview:
    words = [
        sum(1 << bit for bit in range(32) if word * 32 + bit in allowed)
        for word in range(math.ceil(vocabulary / 32))
    ]
    return memoryview(struct.pack(f"<{len(words)}I", *words))


def weights(scaled: Tensor, parameters: SamplingParameters, slack: float) -> Tensor:
    """What the filters leave, float64 [vocabulary]; their sums reach limits too late or early by `slack`."""
    weight = scaled.double().exp()
    kept = scaled > -math.inf
    if 0 < parameters.top_k < scaled.shape[0]:
        kept &= scaled >= scaled.sort(descending=True).values[parameters.top_k - 1]
    if parameters.typical_p < 1:
        probability = weight * kept / (weight * kept).sum()
        surprise = -probability.log()
        deviation = (surprise - (probability * surprise).nansum()).abs()
        order = deviation.argsort()
        place = int((probability[order].cumsum(0) < parameters.typical_p * (1 + slack)).sum())
        kept &= deviation <= deviation[order[min(place, len(order) - 1)]] + SLACK
    if parameters.top_p < 1:
        ordered = (weight * kept).sort(descending=True).values
        place = int((ordered.cumsum(0) < parameters.top_p * (1 + slack) * ordered.sum()).sum())
        kept &= weight >= ordered[min(place, len(ordered) - 1)] * (1 - SLACK)
    if parameters.min_p > 0:
        kept &= scaled >= scaled[kept].max() + torch.tensor(math.log(parameters.min_p), dtype=torch.float32)
    return weight * kept


def acceptable(logits: Tensor, request: SampleRequest) -> set[int]:
    """Tokens that rounding may let an implementation of the rule choose."""
    adjusted = logits.clone()[None]
    sample(adjusted, [replace(request, parameters=replace(request.parameters, temperature=0.0))])
    scaled = (adjusted[0] - adjusted.max()) / request.parameters.temperature
    number = uniform(request.parameters.seed, request.parameters.choice, request.position)
    found: set[int] = set()
    for slack in (-SLACK, SLACK):
        cumulative = weights(scaled, request.parameters, slack).cumsum(0)
        borders = torch.tensor([number - SLACK, number + SLACK], dtype=torch.float64) * cumulative[-1]
        first, last = torch.searchsorted(cumulative, borders, right=True).clamp(max=len(scaled) - 1).tolist()
        found |= set(range(first, last + 1))
    return found


def agrees(request: SampleRequest, logits: Tensor, path: str) -> bool:
    """Asserts that native and torch do the same, up to rounding; whether without it."""
    [expected] = sample(logits.clone()[None], [request])
    result = one(request, logits, path)
    assert result.error == expected.error
    if expected.error:
        return True
    [chosen] = result.token_ids
    if expected.logprobs is None:
        assert result.logprobs == ()
    else:
        [logprobs] = result.logprobs
        values, raw = logits.tolist(), logits.double().log_softmax(0).tolist()
        best = sorted(range(len(raw)), key=lambda i: (-values[i], i))[: request.parameters.top_logprobs]
        assert logprobs.chosen.token_id == chosen
        assert logprobs.chosen.logprob == pytest.approx(raw[chosen], abs=1e-5)
        assert [entry.token_id for entry in logprobs.top] == best
        assert [entry.logprob for entry in logprobs.top] == pytest.approx([raw[i] for i in best], abs=1e-5)
    if chosen == expected.token_id:
        return True
    assert request.parameters.temperature > 0
    assert {chosen, expected.token_id} <= acceptable(logits, request)
    return False


@st.composite
def cases(draw: st.DrawFn) -> tuple[SampleRequest, Tensor]:
    vocabulary = draw(st.sampled_from([1, 2, 5, 15, 16, 33, 64, 65, 100, 257, 1000]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    logits = torch.randn(vocabulary, generator=generator) * draw(st.sampled_from([0.0, 0.3, 2.0, 8.0, 40.0]))
    step = draw(st.sampled_from([0.0, 0.5, 4.0]))
    if step:  # so that there are ties
        logits = (logits / step).round() * step
    ids = st.integers(0, vocabulary - 1)
    parameters = SamplingParameters(
        temperature=draw(st.sampled_from([0.0, 0.1, 0.7, 1.0, 2.0])),
        top_k=draw(st.sampled_from([0, 0, 1, 2, 10, 1000])),
        top_p=draw(st.sampled_from([1.0, 1.0, 0.999, 0.9, 0.3, 1e-9])),
        min_p=draw(st.sampled_from([0.0, 0.0, 0.01, 0.3, 1.0])),
        typical_p=draw(st.sampled_from([1.0, 1.0, 0.9, 0.2, 1e-9])),
        repetition_penalty=draw(st.sampled_from([1.0, 1.3, 0.7])),
        frequency_penalty=draw(st.sampled_from([0.0, 0.4, -1.0])),
        presence_penalty=draw(st.sampled_from([0.0, 0.5])),
        logit_bias=draw(st.dictionaries(ids, st.integers(-400, 400).map(lambda i: i / 4), max_size=3)),
        seed=draw(st.integers(0, 2**64 - 1)),
        choice=draw(st.integers(0, 3)),
        logprobs=(top := draw(st.integers(-3, 5))) >= 0,
        top_logprobs=max(0, top),
    )
    allowed = draw(st.none() | st.sets(ids))
    request = SampleRequest(
        parameters,
        draw(st.integers(1, 5000)),
        draw(st.dictionaries(ids, st.tuples(st.integers(0, 3), st.booleans()), max_size=4)),
        draw(st.lists(ids, max_size=3)),
        None if allowed is None else mask(allowed, vocabulary),
    )
    return request, logits


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=60)
@given(case=cases())
def test_chooses_what_torch_chooses(path: str, case: tuple[SampleRequest, Tensor]) -> None:
    agrees(*case, path)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "parameters",
    [
        SamplingParameters(temperature=0.0, logprobs=True, top_logprobs=5),
        SamplingParameters(),
        SamplingParameters(temperature=0.8, top_p=0.9, logprobs=True, top_logprobs=20),
        SamplingParameters(temperature=2.0, top_p=0.999),
        SamplingParameters(temperature=0.7, top_k=40, top_p=0.95),
        SamplingParameters(top_k=1500),
        SamplingParameters(min_p=0.01, top_p=0.98),
        SamplingParameters(typical_p=0.9, min_p=0.001),
    ],
    ids=lambda parameters: f"t{parameters.temperature}-p{parameters.top_p}-k{parameters.top_k}",
)
def test_a_whole_vocabulary(path: str, parameters: SamplingParameters) -> None:
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(49_152, generator=generator) * 2.5
    logits[torch.randint(49_152, (30,), generator=generator)] += torch.rand(30, generator=generator) * 9
    exact = [agrees(SampleRequest(parameters, position), logits, path) for position in range(1, 9)]
    assert sum(exact) >= 7


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**63 + 12345, 2**64 - 1])
@pytest.mark.parametrize("choice", [0, 3])
def test_random_numbers_are_those_of_philox(seed: int, choice: int) -> None:
    flat = torch.zeros(2**16)
    parameters = SamplingParameters(seed=seed, choice=choice)
    for position in (1, 2, 1000, 2**20):
        assert token(parameters, flat, position) == int(uniform(seed, choice, position) * 2**16)


@pytest.mark.parametrize(("seed", "multiple"), [(25_261, 1), (5_267_250, 64)])
def test_a_number_on_the_border_of_two_tokens_takes_the_second(seed: int, multiple: int) -> None:
    border = uniform(seed, 0, 1) * 2**16
    assert border > 0
    assert border % multiple == 0
    assert token(SamplingParameters(seed=seed), torch.zeros(2**16)) == border
    assert token(SamplingParameters(seed=seed, top_p=0.5), torch.zeros(2**16)) == border


def test_what_min_p_drops_counts_for_top_p() -> None:
    logits = torch.full((1005,), math.log(0.01))
    logits[100:104], logits[500] = math.log(0.5), 0.0
    parameters = SamplingParameters(min_p=0.1, top_p=0.3)
    chosen = {token(parameters, logits, position) for position in range(1, 100)}
    assert chosen == {100, 101, 102, 103, 500}


def test_presence_is_not_subtracted_for_tokens_of_the_prompt_only() -> None:
    parameters = greedy(presence_penalty=1.0)
    logits = torch.tensor([2.0, 1.5])
    assert one(SampleRequest(parameters, 1, {0: (0, True)}), logits).token_ids == (0,)
    assert one(SampleRequest(parameters, 1, {0: (1, True)}), logits).token_ids == (1,)


def test_temperature_zero_takes_the_first_of_equals() -> None:
    assert token(greedy(), [1.0, 5.0, 5.0, 0.0]) == 1
    assert token(greedy(), torch.zeros(1000)) == 0
    assert token(SamplingParameters(temperature=1e-60), [1.0, 5.0, 5.0, 0.0]) == 1


@pytest.mark.parametrize(
    "fields", [{"top_k": 1}, {"top_p": 0.0}, {"top_p": 1e-12}, {"min_p": 1.0}, {"temperature": 1e-6}]
)
def test_the_narrowest_filters_leave_the_likeliest(fields: dict[str, float]) -> None:
    best = int(LOGITS.argmax())
    assert {token(SamplingParameters(**fields), LOGITS, position) for position in range(1, 50)} == {best}


@pytest.mark.parametrize("fields", [{"top_k": 1}, {"top_p": 0.01}, {"min_p": 1.0}])
def test_filters_keep_all_equals_of_the_last(fields: dict[str, float]) -> None:
    logits = torch.tensor([1.0, 5.0, 4.999, 5.0, 0.0, 5.0])
    chosen = {token(SamplingParameters(**fields), logits, position) for position in range(1, 100)}
    assert chosen == {1, 3, 5}


def test_drafts_count_as_generated_and_every_position_has_its_mask() -> None:
    parameters = greedy(
        presence_penalty=0.5, frequency_penalty=0.25, repetition_penalty=1.2, logprobs=True, top_logprobs=2
    )
    counts = {7: (1, True), 20: (0, True)}
    row = ExecutionRow(
        token_ids=[3, 20, 7, 7, 9],
        start=30,
        block_table=[4, 1, 0],
        samples=4,
        sampling=parameters,
        penalty_counts=counts,
        masks=[None, mask(set(range(50))), None, mask({9, 7})],
    )
    logits = torch.randn(4, VOCABULARY, generator=torch.Generator().manual_seed(1))
    logits[:, 7], logits[:, 9] = 2.0, 1.9
    requests = [
        SampleRequest(parameters, 32, counts, (), row.masks[0]),
        SampleRequest(parameters, 33, counts | {7: (2, True)}, (), row.masks[1]),
        SampleRequest(parameters, 34, counts | {7: (3, True)}, (), row.masks[2]),
        SampleRequest(parameters, 35, counts | {7: (3, True), 9: (1, False)}, (), row.masks[3]),
    ]
    result = choose(row, logits)
    expected = sample(logits.clone(), requests)
    assert result.token_ids == tuple(item.token_id for item in expected)
    assert [entry.chosen.logprob for entry in result.logprobs] == pytest.approx(
        [item.logprobs.chosen.logprob for item in expected if item.logprobs], abs=1e-5
    )
    drawn = replace(row, sampling=replace(parameters, temperature=1.0, seed=4))
    drawn_requests = [replace(request, parameters=drawn.sampling) for request in requests]
    expected_tokens = tuple(item.token_id for item in sample(logits.clone(), drawn_requests))
    assert choose(drawn, logits).token_ids == expected_tokens


def test_a_draft_that_was_listed_by_no_count_is_penalized() -> None:
    row = ExecutionRow([0, 5], 0, [0], samples=2, sampling=greedy(frequency_penalty=2.0))
    logits = torch.zeros(2, 10)
    logits[:, 5], logits[:, 6] = 2.0, 1.0
    assert choose(row, logits).token_ids == (5, 6)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 77, 99])
def test_logits_that_are_not_finite_are_an_error(path: str, broken: float, place: int) -> None:
    logits = LOGITS.clone()
    logits[place] = broken
    assert one(SampleRequest(SamplingParameters(logprobs=True), 1), logits, path) == RowResult(
        error=LOGITS_NOT_FINITE
    )


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_mask_that_allows_nothing_is_an_error(temperature: float) -> None:
    request = SampleRequest(SamplingParameters(temperature=temperature, logprobs=True), 1, mask=mask(set()))
    assert one(request) == RowResult(error=NOTHING_ALLOWED)
    assert one(replace(request, mask=mask({99}), forbidden_ids=[99])) == RowResult(error=NOTHING_ALLOWED)
    assert one(replace(request, mask=mask({99}))).token_ids == (99,)


def test_a_token_outside_the_vocabulary_is_refused() -> None:
    packed = PackedBatch(
        ExecutionBatch([replace(row_of(SampleRequest(greedy(), 1)), forbidden_ids=[100])]), 100
    )
    batch = packed.structure()
    failed = native_library().native_test_sample(
        b"auto", LOGITS.data_ptr(), 100, ctypes.byref(batch), 0, 0, packed.samples, None, None
    )
    assert failed
    assert "100" in last_error()
