"""Steps through the interface: drafts, prompts without samples, failures of the whole step, steady memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sidecar.errors import ModelNotLoaded, OutOfMemory
from sidecar.executors.base import ExecutionBatch, ExecutionRow, SamplingParameters
from sidecar.executors.torch.executor import TorchExecutor
from sidecar.models.open import open_model
from tests.support.gguf_writer import write_tiny_llama
from tests.support.torch_executor import GREEDY, greedy_tokens, load_executor, row, step

PROMPT = [5, 9, 13, 2, 40, 41, 7, 8, 30, 31, 32, 33, 3, 4, 90, 91, 92, 11, 12]
PENALIZED = replace(GREEDY, presence_penalty=2.0, repetition_penalty=2.0)


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[TorchExecutor]:
    source = open_model(write_tiny_llama(tmp_path / "tiny.gguf", quantization="Q4_1"))
    executor = load_executor(source, "float32", tmp_path)
    yield executor
    executor.close()


def test_a_prompt_may_come_in_parts_that_sample_nothing(executor: TorchExecutor) -> None:
    whole = step(executor, row(PROMPT, blocks=[0, 1]))[0].token_ids
    [first] = step(executor, row(PROMPT[:9], blocks=[3, 2], samples=0, sampling=None))
    assert (first.token_ids, first.error, first.cancelled) == ((), None, False)
    [second] = step(executor, row(PROMPT[9:], start=9, blocks=[3, 2]))
    assert second.token_ids == whole


def test_right_drafts_give_the_tokens_that_single_steps_give(executor: TorchExecutor) -> None:
    tokens = greedy_tokens(executor, PROMPT, 5)
    drafts = row(tokens[:4], start=len(PROMPT), samples=4)
    assert step(executor, drafts)[0].token_ids == tuple(tokens[1:])


def test_drafts_count_for_the_penalties_of_what_follows(executor: TorchExecutor) -> None:
    tokens: list[int] = []
    counts = dict.fromkeys(PROMPT, (0, True))
    computed, start = PROMPT, 0
    for _ in range(5):
        single = row(computed, start=start, sampling=PENALIZED)
        single.penalty_counts = counts
        tokens += step(executor, single)[0].token_ids
        times, in_prompt = counts.get(tokens[-1], (0, False))
        counts = {**counts, tokens[-1]: (times + 1, in_prompt)}
        computed, start = tokens[-1:], len(PROMPT) + len(tokens) - 1
    drafts = row(tokens[:4], start=len(PROMPT), samples=4, sampling=PENALIZED)
    drafts.penalty_counts = {**dict.fromkeys(PROMPT, (0, True)), tokens[0]: (1, False)}
    assert step(executor, drafts)[0].token_ids == tuple(tokens[1:])


def test_a_seed_draws_the_same_token_alone_and_in_a_batch(executor: TorchExecutor) -> None:
    def asked(seed: int, blocks: list[int]) -> ExecutionRow:
        return row(PROMPT, blocks=blocks, sampling=SamplingParameters(temperature=2.0, seed=seed))

    together = step(executor, *(asked(seed, [2 * seed, 2 * seed + 1]) for seed in range(8)))
    alone = [step(executor, asked(seed, [40, 41]))[0] for seed in range(8)]
    assert together == alone
    assert len({result.token_ids for result in together}) > 1


def test_a_failed_allocation_fails_the_step_and_no_other(
    executor: TorchExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = step(executor, row(PROMPT))

    def no_memory(hidden: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    with monkeypatch.context() as patch:
        patch.setattr(executor.runner.model, "logits", no_memory)
        with pytest.raises(OutOfMemory, match="allocate"):
            executor.execute(ExecutionBatch([row(PROMPT)]))
    assert step(executor, row(PROMPT)) == expected


def test_nothing_runs_before_load_and_after_close(executor: TorchExecutor) -> None:
    executor.close()
    for unusable in (executor, TorchExecutor("cpu", 1)):
        with pytest.raises(ModelNotLoaded):
            unusable.execute(ExecutionBatch([row(PROMPT)]))
        with pytest.raises(ModelNotLoaded):
            unusable.allocate_cache(4)


def test_steps_of_every_shape_leave_memory_as_it_was(tmp_path: Path) -> None:
    source = open_model(write_tiny_llama(tmp_path / "tiny.gguf", quantization="Q4_1"))
    executor = load_executor(source, "int4", tmp_path)
    process = psutil.Process()

    def steps() -> int:
        for count in range(1, 200, 3):
            step(executor, row([7] * count, blocks=range(20, 40)), row([5], start=count, blocks=range(20)))
        return process.memory_info().rss

    steps()
    before = steps()
    assert min(steps() for _ in range(3)) - before < 2 * 2**20
