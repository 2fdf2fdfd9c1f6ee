"""The native executor against the same rule written plainly in torch, for every format and family."""

import pytest

from sidecar.executors.native.executor import NativeExecutor
from sidecar.models.config import DType, RopeConfig
from tests.support.native_executor import USABLE_PATHS, load_native, native_logits
from tests.support.quantized_reference import QuantizedReference
from tests.support.random_source import QUANTIZED, random_source, small_config
from tests.support.torch_executor import row

TOKENS = [(index * 7919) % 320 for index in range(200)]
# A number that lies at the border of two int8 steps may be rounded either way by sums that differ in
# the last place; what follows then differs by a step. So there is a wide bound for all tokens of a long
# sequence, and a narrow one for short sequences, of which many are undisturbed. Bounds are in standard
# deviations of a logit.
BOUND = 0.25
UNDISTURBED_BOUND = 1e-5
LEAST_UNDISTURBED = 0.25
SHORT = [[(first * 31 + index * 57) % 320 for index in range(4)] for first in range(60)]
MEAN_BOUND = 0.015
LEAST_AGREEMENT = 0.995
# Random weights give flat logits: the likeliest token is compared where it is ahead of the next.
CLEAR_GAP = 0.05
LEAST_CLEAR = 0.8

FAMILIES = {
    "llama": {},
    "one key head, tied": {"num_key_value_heads": 1, "tie_word_embeddings": True},
    "qwen2": {"architecture": "qwen2", "qkv_bias": True},
    "qwen3": {"architecture": "qwen3", "query_key_norm": True, "head_dim": 64},
    "mistral": {"architecture": "mistral", "sliding_window": 48},
    "partly rotated": {"rope": RopeConfig(rotary_dimensions=16)},
    "every bias": {"qkv_bias": True, "attention_output_bias": True, "mlp_bias": True},
    "odd sizes": {"head_dim": 48, "num_attention_heads": 6, "intermediate_size": 768},
}


@pytest.mark.parametrize("dtype", QUANTIZED, ids=lambda dtype: dtype.value)
@pytest.mark.parametrize("kernel_path", USABLE_PATHS)
def test_every_stored_format(dtype: DType, kernel_path: str) -> None:
    source = random_source(dtype, small_config(), permuted_qk=True)
    executor = load_native(source, dtype.value.lower(), kernel_path=kernel_path, cache_type="float16")
    _compare(executor, QuantizedReference(source))


@pytest.mark.parametrize(
    ("name", "permuted_qk"), [*((name, False) for name in FAMILIES), ("llama", True), ("every bias", True)]
)
def test_every_family(name: str, permuted_qk: bool) -> None:
    """Rows and biases of queries and keys lie in the order of safetensors, or in GGUF's."""
    source = random_source(DType.Q4_1, small_config(**FAMILIES[name]), seed=1, permuted_qk=permuted_qk)
    executor = load_native(source, "q4_1", cache_type="float16")
    _compare(executor, QuantizedReference(source))


def _compare(executor: NativeExecutor, reference: QuantizedReference) -> None:
    rows = [row(tokens, blocks=[place], samples=len(tokens)) for place, tokens in enumerate(SHORT)]
    short = native_logits(executor, *rows).view(len(SHORT), len(SHORT[0]), -1)
    undisturbed = sum(
        bool((logits - wanted).abs().max() < UNDISTURBED_BOUND * wanted.std())
        for logits, wanted in zip(short, map(reference.logits, SHORT), strict=True)
    )
    assert undisturbed >= LEAST_UNDISTURBED * len(SHORT)
    expected = reference.logits(TOKENS)
    logits = native_logits(executor, row(TOKENS, samples=len(TOKENS)))
    difference = (logits - expected).abs() / expected.std()
    assert difference.max() < BOUND
    assert difference.mean() < MEAN_BOUND
    best = expected.topk(2, dim=-1)
    is_clear = best.values[:, 0] - best.values[:, 1] > CLEAR_GAP * expected.std()
    assert is_clear.float().mean() > LEAST_CLEAR
    agreement = (logits.argmax(dim=-1) == best.indices[:, 0])[is_clear].float().mean()
    assert agreement >= LEAST_AGREEMENT, f"{agreement:.2%} of the likeliest tokens are the same"
