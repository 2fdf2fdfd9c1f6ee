"""The random numbers are those of Random123, and a pure function of seed, choice and position."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.executors.torch.philox import Words, philox4x32, uniform

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers_of_random123(counter: Words, key: tuple[int, int], expected: Words) -> None:
    assert philox4x32(counter, key) == expected


@given(st.integers(0, 2**64 - 1), st.integers(0, 63), st.integers(0, 2**31))
def test_a_draw_is_a_fraction_and_the_same_every_time(seed: int, choice: int, position: int) -> None:
    number = uniform(seed, choice, position)
    assert 0 <= number < 1
    assert number == uniform(seed, choice, position)


def test_seed_choice_and_position_each_matter() -> None:
    numbers = {
        uniform(seed, choice, position) for seed in (1, 2**40) for choice in (0, 1) for position in range(50)
    }
    assert len(numbers) == 200


def test_draws_are_evenly_spread() -> None:
    numbers = [uniform(7, 0, position) for position in range(4000)]
    for tenth in range(10):
        assert 330 < sum(tenth <= number * 10 < tenth + 1 for number in numbers) < 470
