"""What `auto` picks must pass the quantization gate on the whole text."""

import pytest

from benchmarks import quantization_gate as gate
from sidecar.models.open import open_model


def verdict(**fields: float) -> gate.Verdict:
    values = {"perplexity": 20.0, "increase": 0.0, "agreement": 1.0, **fields}
    return gate.Verdict(
        gate.Candidate("torch", "int8"), 512, values["perplexity"], values["increase"], values["agreement"]
    )


@pytest.mark.parametrize(
    ("fields", "passed"),
    [
        ({}, True),
        ({"increase": 0.01, "agreement": 0.95}, True),
        ({"increase": 0.0101}, False),
        ({"agreement": 0.9499}, False),
        ({"increase": -0.01}, True),
    ],
)
def test_both_limits_must_be_kept(fields: dict[str, float], passed: bool) -> None:
    assert verdict(**fields).passed is passed


@pytest.mark.model
@pytest.mark.timeout(600)
@pytest.mark.parametrize("executor", ["native", "torch"])
def test_what_auto_picks_passes(executor: str) -> None:
    source = open_model(gate.default_model())
    token_ids = gate.text_tokens(source)
    assert len(token_ids) >= 4096
    picked = next(candidate for candidate in gate.candidates(source) if candidate.executor == executor)
    [found] = gate.judge(source, token_ids, [picked], [gate.PROMPT_CHUNK])
    assert found.passed, found
