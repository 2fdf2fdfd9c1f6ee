"""The engine with real weights: the same greedy tokens however they come about."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from sidecar.config import LibrarySettings
from sidecar.engine.config import EngineConfig
from sidecar.engine.inference_engine import InferenceEngine
from sidecar.engine.loading import LoadedModel, load_model
from sidecar.executors.base import BLOCK_SIZE
from sidecar.generation import FinishReason, GenerationChoice, GenerationParams, InferenceRequest, Priority

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

TIE = 1e-3
"""Where the two likeliest tokens are this close, either may win: matrix products depend on the batch."""

QUESTIONS = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "List three animals that can fly.",
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    library = LibrarySettings(cache_dir=tmp_path_factory.mktemp("cache"))
    config = EngineConfig(quantization="float32", executor="torch", cache_tokens=2048, library=library)
    model = load_model(config, lambda _: None, lambda: False)
    yield model
    model.executor.close()


def engine_on(loaded: LoadedModel, *, blocks: int | None = None, **settings: int | bool) -> InferenceEngine:
    """A fresh engine on the shared weights, with the first `blocks` blocks of the shared cache."""
    if blocks is not None:
        loaded = replace(
            loaded,
            layout=replace(loaded.layout, blocks=blocks),
            info=replace(loaded.info, context_length=blocks * BLOCK_SIZE),
        )
    return InferenceEngine(EngineConfig(check_integrity=True, **settings), model=loaded)


def chat(engine: InferenceEngine, question: str) -> list[int]:
    return engine.tokenize(
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n",
        parse_special=True,
    )


def greedy(max_tokens: int = 24, **settings: Priority) -> GenerationParams:
    return GenerationParams(temperature=0, max_tokens=max_tokens, logprobs=True, top_logprobs=2, **settings)


@pytest.fixture(scope="module")
def alone(loaded: LoadedModel) -> dict[str, GenerationChoice]:
    engine = engine_on(loaded, prefix_cache=False)
    return {question: engine.generate(chat(engine, question), greedy()).choices[0] for question in QUESTIONS}


def assert_same(choice: GenerationChoice, reference: GenerationChoice) -> None:
    """Equal tokens up to the first tie."""
    assert len(reference.token_ids) == len(reference.logprobs)
    for position, known in enumerate(reference.logprobs):
        first, second = known.top
        if choice.token_ids[position] != known.chosen.token_id:
            assert first.logprob - second.logprob < TIE, f"token {position} differs without a tie"
            return
    assert choice.token_ids == reference.token_ids
    assert choice.text == reference.text


def test_the_answers_make_sense(alone: dict[str, GenerationChoice]) -> None:
    capital = alone["What is the capital of France?"]
    assert "Paris" in capital.text
    assert capital.finish_reason is FinishReason.STOP
    assert all(choice.text.isprintable() or "\n" in choice.text for choice in alone.values())


def test_a_small_step_budget_changes_nothing(loaded: LoadedModel, alone: dict[str, GenerationChoice]) -> None:
    engine = engine_on(loaded, prefix_cache=False, max_batch_tokens=7, max_running_requests=4)
    for question, reference in alone.items():
        assert_same(engine.generate(chat(engine, question), greedy()).choices[0], reference)


def test_a_known_prefix_changes_nothing(loaded: LoadedModel, alone: dict[str, GenerationChoice]) -> None:
    engine = engine_on(loaded)
    for question, reference in [*alone.items(), *alone.items()]:
        output = engine.generate(chat(engine, question), greedy())
        assert_same(output.choices[0], reference)
    assert output.usage.cached_tokens >= 32
    assert engine.stats().cached_prompt_tokens >= 32 * 4


def test_company_in_the_batch_changes_nothing(
    loaded: LoadedModel, alone: dict[str, GenerationChoice]
) -> None:
    engine = engine_on(loaded)
    for question in QUESTIONS:
        engine.add_request(InferenceRequest(tuple(chat(engine, question)), greedy(), question))
    finished = {}
    while engine.has_unfinished_requests():
        finished |= {output.request_id: output for output in engine.step() if output.finished}
    for question, reference in alone.items():
        assert_same(finished[question].choices[0], reference)


def test_preemption_changes_nothing(loaded: LoadedModel, alone: dict[str, GenerationChoice]) -> None:
    engine = engine_on(loaded, blocks=7, prefix_cache=False)
    for question in QUESTIONS:
        engine.add_request(InferenceRequest(tuple(chat(engine, question)), greedy(), question))
    finished = {}
    while engine.has_unfinished_requests():
        finished |= {output.request_id: output for output in engine.step() if output.finished}
    assert engine.stats().preemptions > 0
    for question, reference in alone.items():
        assert_same(finished[question].choices[0], reference)


def test_choices_of_one_prompt_share_it_and_are_the_same_when_greedy(
    loaded: LoadedModel, alone: dict[str, GenerationChoice]
) -> None:
    engine = engine_on(loaded)
    question = QUESTIONS[0]
    params = replace(greedy(), n=3)
    output = engine.generate(chat(engine, question), params)
    for choice in output.choices:
        assert_same(choice, alone[question])
