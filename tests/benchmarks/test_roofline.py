"""The limits that steps are measured against, and the tables made of them."""

import pytest

from benchmarks.roofline import Case, Found, Limits, Work, measure_limits, report


@pytest.mark.parametrize("quantization", ["q4_1", "q6_k"])
def test_a_machine_reads_and_multiplies(quantization: str) -> None:
    limits = measure_limits("auto", quantization, threads=2)
    # A billion a second is what the slowest machine in use does; 10 terabytes what none does.
    assert 1e9 < limits.bandwidth < 1e13
    assert 1e8 < limits.multiplications < 1e14


def test_steps_are_told_as_shares_of_the_limits() -> None:
    found = Found(
        Case(8, 1, 64), Work(2**30, 10**9), seconds=0.5, phases={"attend": 0.1, "head": 0.3, "merge": 0.0}
    )
    text = report([found], Limits(bandwidth=2**32, multiplications=4e9))
    assert "8 streams, context 64" in text
    # A half second at 4 GiB/s and 4 · 10⁹ a second: half of what they would have been in that time.
    reached = next(line for line in text.splitlines() if "1,024 MiB" in line)
    assert [cell.strip() for cell in reached.split("|")][2:8] == ["16", "1,024 MiB", "50%", "1.00", "50%", ""]
    assert "25%" in text
    assert "75%" in text
    assert "merge" not in text
