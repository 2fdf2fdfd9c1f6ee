from hypothesis import given
from hypothesis import strategies as st

from sidecar.engine.penalty_window import PenaltyWindow

TOKENS = st.lists(st.integers(0, 5), max_size=20)


@given(TOKENS, TOKENS, st.integers(-1, 25))
def test_counts_are_those_of_the_window(prompt: list[int], generated: list[int], length: int) -> None:
    window = PenaltyWindow(prompt, length)
    for count in range(len(generated) + 1):
        if count:
            window.append(generated[count - 1])
        everything = [(token, True) for token in prompt] + [(token, False) for token in generated[:count]]
        counted = everything if length < 0 else everything[len(everything) - min(length, len(everything)) :]
        assert window.counts == {
            token: (counted.count((token, False)), (token, True) in counted) for token, _ in counted
        }
