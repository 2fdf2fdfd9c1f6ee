"""Our Llama against transformers' on tiny random weights, float32: logits at most 1e-4 apart."""

import random
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from sidecar.executors.torch.executor import TorchExecutor
from sidecar.models.open import open_model
from tests.support.tiny_tokenizer import tiny_tokenizer
from tests.support.torch_executor import load_executor, logits_of, row, step
from tests.support.transformers_llama import reference_logits, save_random_llama

VOCABULARY = 320
TOLERANCE = 1e-4

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
SHAPES: dict[str, dict[str, object]] = {
    "grouped": {},
    "multi_head": {"num_key_value_heads": 4},
    "multi_query": {"num_key_value_heads": 1},
    "wide_heads": {"head_dim": 32},
    "tied": {"tie_word_embeddings": True},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "llama3_rope": {"rope_parameters": LLAMA3_ROPE},
    "linear_rope": {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}},
}


def pair(folder: Path, **fields: object) -> tuple[TorchExecutor, LlamaForCausalLM]:
    reference = save_random_llama(folder, vocab_size=VOCABULARY, **fields)
    (folder / "tokenizer.json").write_text(tiny_tokenizer(VOCABULARY).json)
    return load_executor(open_model(folder), "float32", folder / "converted"), reference


def tokens(count: int, seed: int = 0) -> list[int]:
    return random.Random(seed).choices(range(VOCABULARY), k=count)


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= TOLERANCE


@pytest.mark.parametrize("shape", SHAPES)
def test_prefill_and_decode_match(shape: str, tmp_path: Path) -> None:
    executor, reference = pair(tmp_path, **SHAPES[shape])
    sequence = tokens(150)
    expected = reference_logits(reference, sequence)
    assert_same(logits_of(executor, row(sequence[:140], samples=140)), expected[:140])
    for position in range(140, 150):
        found = logits_of(executor, row(sequence[position : position + 1], start=position))
        assert_same(found, expected[position : position + 1])


def test_chunked_prefill_matches(tmp_path: Path) -> None:
    executor, reference = pair(tmp_path)
    sequence = tokens(200)
    expected = reference_logits(reference, sequence)
    start = 0
    for size in (33, 1, 64, 2, 100):
        chunk = sequence[start : start + size]
        found = logits_of(executor, row(chunk, start=start, samples=size))
        assert_same(found, expected[start : start + size])
        start += size
    assert start == len(sequence)


def test_mixed_batch_over_scattered_blocks_matches(tmp_path: Path) -> None:
    """Decode rows of several lengths, a chunk, a whole prompt and verified drafts in one step."""
    executor, reference = pair(tmp_path)
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
