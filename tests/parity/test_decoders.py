"""Our decoders against transformers' on tiny random weights, float32: logits at most 1e-4 apart."""

import random
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from sidecar.executors.torch.executor import TorchExecutor
from sidecar.models.open import open_model
from tests.support.torch_executor import load_executor, logits_of, row, step
from tests.support.transformers_gguf import write_gguf
from tests.support.transformers_models import folder_of, random_model, reference_logits

VOCABULARY = 320
TOLERANCE = 1e-4
WINDOW = 37

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LINEAR_ROPE = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
ALL_LAYERS: dict[str, object] = {
    "use_sliding_window": True,
    "sliding_window": WINDOW,
    "max_window_layers": 0,
}
SHAPES: dict[str, tuple[str, dict[str, object]]] = {
    "llama": ("llama", {}),
    "llama_multi_head": ("llama", {"num_key_value_heads": 4}),
    "llama_multi_query": ("llama", {"num_key_value_heads": 1}),
    "llama_wide_heads": ("llama", {"head_dim": 32}),
    "llama_tied": ("llama", {"tie_word_embeddings": True}),
    "llama_biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama_llama3_rope": ("llama", {"rope_parameters": LLAMA3_ROPE}),
    "llama_linear_rope": ("llama", {"rope_parameters": LINEAR_ROPE}),
    "mistral": ("mistral", {"sliding_window": None}),
    "mistral_wide_heads": ("mistral", {"sliding_window": None, "head_dim": 32}),
    "mistral_window": ("mistral", {"sliding_window": WINDOW}),
    "mistral_narrow_window": ("mistral", {"sliding_window": 1}),
    "qwen2": ("qwen2", {}),
    "qwen2_tied": ("qwen2", {"tie_word_embeddings": True}),
    "qwen2_window": ("qwen2", ALL_LAYERS),
    "qwen3": ("qwen3", {}),
    "qwen3_tied_wide_heads": ("qwen3", {"head_dim": 48, "tie_word_embeddings": True}),
    "qwen3_narrow_heads": ("qwen3", {"head_dim": 8}),
    "qwen3_biases": ("qwen3", {"attention_bias": True}),
    "qwen3_window": ("qwen3", {**ALL_LAYERS, "head_dim": 32}),
}
FAMILIES = ["llama", "mistral", "mistral_window", "qwen2", "qwen2_window", "qwen3", "qwen3_window"]


def pair(shape: str, folder: Path, file_format: str = "safetensors") -> tuple[TorchExecutor, PreTrainedModel]:
    architecture, fields = SHAPES[shape]
    reference = random_model(architecture, vocab_size=VOCABULARY, **fields)
    if file_format == "gguf":
        path = write_gguf(reference, folder / "model.gguf")
    else:
        path = folder_of(reference, folder / "model")
    return load_executor(open_model(path), "float32", folder / "converted"), reference


def tokens(count: int, seed: int = 0) -> list[int]:
    return random.Random(seed).choices(range(VOCABULARY), k=count)


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= TOLERANCE


@pytest.mark.parametrize("file_format", ["safetensors", "gguf"])
@pytest.mark.parametrize("shape", SHAPES)
def test_prefill_and_decode_match(shape: str, file_format: str, tmp_path: Path) -> None:
    executor, reference = pair(shape, tmp_path, file_format)
    sequence = tokens(150)
    expected = reference_logits(reference, sequence)
    assert_same(logits_of(executor, row(sequence[:140], samples=140)), expected[:140])
    for position in range(140, 150):
        found = logits_of(executor, row(sequence[position : position + 1], start=position))
        assert_same(found, expected[position : position + 1])


@pytest.mark.parametrize("shape", FAMILIES)
def test_decode_from_the_first_token_on_matches(shape: str, tmp_path: Path) -> None:
    """With a window: before it is full, while it fills, and after it has moved on."""
    executor, reference = pair(shape, tmp_path)
    sequence = tokens(2 * WINDOW)
    found = [logits_of(executor, row([token], start=position)) for position, token in enumerate(sequence)]
    assert_same(torch.cat(found), reference_logits(reference, sequence))


@pytest.mark.parametrize("shape", FAMILIES)
def test_chunked_prefill_matches(shape: str, tmp_path: Path) -> None:
    executor, reference = pair(shape, tmp_path)
    sequence = tokens(200)
    expected = reference_logits(reference, sequence)
    start = 0
    for size in (33, 1, 64, 2, 100):
        chunk = sequence[start : start + size]
        found = logits_of(executor, row(chunk, start=start, samples=size))
        assert_same(found, expected[start : start + size])
        start += size
    assert start == len(sequence)


@pytest.mark.parametrize("shape", FAMILIES)
def test_mixed_batch_over_scattered_blocks_matches(shape: str, tmp_path: Path) -> None:
    """Decode rows of several lengths, a chunk, a whole prompt and verified drafts in one step."""
    executor, reference = pair(shape, tmp_path)
    scattered = random.Random(1).sample(range(64), 64)
    lengths = [1, 20, 40, 300, 90, 60, 17]
    computed = [0, 19, 39, 299, 50, 0, 12]
    sequences = [tokens(length, seed) for seed, length in enumerate(lengths)]
    tables: list[list[int]] = []
    for length in lengths:
        count = -(-length // 16)
        tables.append([scattered.pop() for _ in range(count)])
    for sequence, done, table in zip(sequences, computed, tables, strict=True):
        if done:
            step(executor, row(sequence[:done], blocks=table, samples=0, sampling=None))
    rows = [
        row(sequence[done:], start=done, blocks=table, samples=len(sequence) - done)
        for sequence, done, table in zip(sequences, computed, tables, strict=True)
    ]
    expected = [
        reference_logits(reference, sequence)[done:]
        for sequence, done in zip(sequences, computed, strict=True)
    ]
    assert_same(logits_of(executor, *rows), torch.cat(expected))
