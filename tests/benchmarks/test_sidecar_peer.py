"""How our own engine is measured, on the scripted executor."""

from collections.abc import Iterator

import pytest

from benchmarks.peers.cases import arrival, decode, prompts_of
from benchmarks.peers.sidecar_peer import ForcedTokens, timed_arrival, timed_decode
from sidecar.engine.config import EngineConfig
from sidecar.engine.inference_engine import InferenceEngine
from sidecar.generation import GenerationParams, InferenceRequest


@pytest.fixture
def engine() -> Iterator[InferenceEngine]:
    config = EngineConfig(model="scripted", executor="scripted", cache_tokens=48 * 1024, check_integrity=True)
    with InferenceEngine(config) as made:
        yield made


def letters(prompts: list[list[int]]) -> list[list[int]]:
    """Tokens that the scripted executor continues without an end."""
    return [[97 + token % 26 for token in prompt] for prompt in prompts]


@pytest.mark.parametrize("streams", [1, 32])
def test_every_stream_makes_a_token_a_step_however_long_the_prompts(
    engine: InferenceEngine, streams: int
) -> None:
    case = decode(streams, 1024, 6)
    prompts = letters(prompts_of(case, 0, engine.model_info.vocab_size))
    tokens, seconds = timed_decode(engine, prompts, case.steps)
    assert tokens == streams * case.steps
    assert seconds > 0
    assert not engine.has_unfinished_requests()


def test_an_arrival_is_timed_beside_streams_that_go_on(engine: InferenceEngine) -> None:
    case = arrival(8, 600)
    *running, newcomer = letters(prompts_of(case, 0, engine.model_info.vocab_size))
    before = engine.stats().requests_finished
    first_token, longest_gap = timed_arrival(engine, running, newcomer, case.steps)
    assert first_token > 0
    assert longest_gap > 0
    assert engine.stats().requests_finished == before + 2 * len(running) + 1


def test_forced_tokens_are_what_comes_out(engine: InferenceEngine) -> None:
    forced = [122, 97, 40, 41]
    engine.add_request(
        InferenceRequest(
            (97,),
            GenerationParams(max_tokens=len(forced), temperature=0.0, ignore_eos=True),
            constraint=lambda: ForcedTokens(forced),
        )
    )
    chosen: list[int] = []
    while engine.has_unfinished_requests():
        chosen += [token for output in engine.step() for chunk in output.chunks for token in chunk.token_ids]
    assert chosen == forced
