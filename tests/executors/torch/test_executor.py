"""What the engine relies on: rows keep apart, blocks can be moved, failures stay in their row."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sidecar.errors import InvalidParams, OutOfMemory
from sidecar.executors.base import BLOCK_SIZE, ExecutionBatch, ExecutorOptions
from sidecar.executors.torch.executor import TorchExecutor
from sidecar.executors.torch.kind import TorchExecutorKind
from sidecar.models.open import open_model
from sidecar.models.source import ModelSource
from tests.support.gguf_writer import write_tiny_llama
from tests.support.torch_executor import greedy_tokens, load_executor, logits_of, row, step

PROMPT = [5, 9, 13, 2, 40, 41, 7, 8, 30, 31, 32, 33, 3, 4, 90, 91, 92, 11, 12]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    write_tiny_llama(path, quantization="Q4_1")
    return open_model(path)


@pytest.fixture
def executor(source: ModelSource, tmp_path: Path) -> Iterator[TorchExecutor]:
    executor = load_executor(source, "float32", tmp_path)
    yield executor
    executor.close()


def test_every_quantization_stays_near_float32(source: ModelSource, tmp_path: Path) -> None:
    exact = load_executor(source, "float32", tmp_path)
    expected = logits_of(exact, row(PROMPT, samples=len(PROMPT)))
    exact.close()
    spread = float(expected.std())
    offered = TorchExecutorKind().quantizations(source)
    assert set(offered) == {"float32", "bfloat16", "int8", "int4"}
    for quantization in offered:
        executor = load_executor(source, quantization, tmp_path)
        for samples in (1, len(PROMPT)):
            difference = logits_of(executor, row(PROMPT, samples=samples)) - expected[-samples:]
            assert float(difference.abs().mean()) < 0.1 * spread, (quantization, samples)
        executor.close()


def test_a_cancelled_row_is_given_up_and_its_neighbour_is_not(executor: TorchExecutor) -> None:
    [alone] = step(executor, row(PROMPT, blocks=[0, 1]))
    gone = row(PROMPT, blocks=[2, 3])
    gone.cancel[0] = 1
    cancelled, kept = step(executor, gone, row(PROMPT, blocks=[0, 1]))
    assert cancelled.cancelled
    assert cancelled.token_ids == ()
    assert kept == alone
    assert [result.cancelled for result in step(executor, gone)] == [True]


def test_copied_exported_and_imported_blocks_continue_alike(executor: TorchExecutor) -> None:
    expected = greedy_tokens(executor, PROMPT, 6, blocks=[0, 1])
    step(executor, row(PROMPT[:-1], blocks=[2, 3], samples=0, sampling=None))
    executor.copy_blocks([(2, 10), (3, 20)])
    content = executor.export_blocks([2, 3])
    executor.import_blocks([30, 31], content)
    for table in ([10, 20], [30, 31]):
        [result] = step(executor, row(PROMPT[-1:], start=len(PROMPT) - 1, blocks=table))
        assert result.token_ids == (expected[0],)
    with pytest.raises(InvalidParams, match="bytes"):
        executor.import_blocks([30], content)


def test_a_row_that_is_not_finite_fails_alone_and_leaves_nothing_behind(
    executor: TorchExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    [healthy] = step(executor, row(PROMPT, blocks=[0, 1]))
    embedding = executor.runner.model.embedding
    lookup = embedding.lookup

    def poisoned(token_ids: torch.Tensor) -> torch.Tensor:
        return lookup(token_ids).masked_fill((token_ids == 17)[:, None], torch.inf)

    monkeypatch.setattr(executor.runner.model, "embedding", SimpleNamespace(lookup=poisoned))
    failed, kept = step(executor, row([17, *PROMPT[1:]], blocks=[2, 3]), row(PROMPT, blocks=[0, 1]))
    monkeypatch.undo()
    assert failed.error is not None
    assert kept == healthy
    [again] = step(executor, row(PROMPT, blocks=[2, 3]))
    assert again == healthy


def test_an_empty_batch_is_nothing_to_do(executor: TorchExecutor) -> None:
    assert executor.execute(ExecutionBatch([])).rows == []


def test_a_cache_beyond_memory_is_refused_before_it_is_taken(executor: TorchExecutor) -> None:
    with pytest.raises(OutOfMemory) as raised:
        executor.allocate_cache(10**10)
    needed, available = raised.value.data["needed_bytes"], raised.value.data["available_bytes"]
    assert isinstance(needed, int)
    assert isinstance(available, int)
    assert needed > available > 0


def test_the_estimate_is_near_what_is_taken(source: ModelSource, tmp_path: Path) -> None:
    for quantization in ("float32", "bfloat16"):
        executor = load_executor(source, quantization, tmp_path, blocks=8)
        layout = executor.allocate_cache(8)
        estimate = TorchExecutorKind().memory_estimate(source, quantization, ExecutorOptions())
        assert layout.bytes_per_block == estimate.bytes_per_block
        assert layout.block_size == BLOCK_SIZE
        parameters = source.config.parameter_count * (4 if quantization == "float32" else 2)
        assert estimate.weights_bytes == pytest.approx(parameters, rel=0.1)
        executor.close()
