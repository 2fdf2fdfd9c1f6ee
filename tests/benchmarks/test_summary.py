"""Medians, ratios, percentiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.summary import Summary, percentile, ratios, summarize

numbers = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=20)


def test_summary_is_median_lowest_highest() -> None:
    assert summarize([3.0, 1.0, 8.0]) == Summary(3.0, 1.0, 8.0)


@given(numbers)
def test_median_lies_between_lowest_and_highest(values: list[float]) -> None:
    summary = summarize(values)
    assert summary.low <= summary.median <= summary.high


def test_ratios_are_taken_round_by_round() -> None:
    # The second round was half as fast for both: the ratio does not see it.
    assert ratios([200.0, 100.0], [100.0, 50.0]) == Summary(2.0, 2.0, 2.0)


def test_ratios_of_rounds_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="above 0"):
        ratios([1.0], [0.0])
    with pytest.raises(ValueError, match="nothing to summarize"):
        ratios([], [])


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, 1), (0.5, 2), (0.75, 3), (0.76, 4), (1.0, 4)])
def test_percentile_is_the_nearest_rank(fraction: float, expected: float) -> None:
    assert percentile([4, 2, 3, 1], fraction) == expected


@given(numbers, st.floats(0, 1))
def test_percentile_is_one_of_the_values_and_covers_its_fraction(
    values: list[float], fraction: float
) -> None:
    value = percentile(values, fraction)
    assert value in values
    assert sum(other <= value for other in values) >= fraction * len(values)
