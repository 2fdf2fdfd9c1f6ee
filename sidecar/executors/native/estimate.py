"""What a model will need of memory, and its shape as C++ reads it."""

import ctypes
import functools

from sidecar.errors import InvalidParams
from sidecar.executors.base import ExecutorOptions, MemoryEstimate
from sidecar.executors.native.formats import CACHE_TYPES, NUMBERS, format_of, matrices
from sidecar.executors.native.library import PAIR_PATHS, Config, choose_path, native_library
from sidecar.models.config import ModelConfig
from sidecar.models.source import ModelSource

STEP_TOKENS = 512
"""Tokens of a large step: its activations are what a running model needs beside weights and cache."""
STEP_SAMPLES = 32
_ACTIVATION_BYTES = 4 + 1.5
"""A number as float32 and, quantized, with its share of scales and sums."""


def native_config(config: ModelConfig, threads: int = 1) -> Config:
    """The shape of a model as native_config has it."""
    return Config(
        config.vocab_size,
        config.hidden_size,
        config.intermediate_size,
        config.num_layers,
        config.num_attention_heads,
        config.num_key_value_heads,
        config.head_dim,
        config.head_dim if config.rope.rotary_dimensions is None else config.rope.rotary_dimensions,
        config.sliding_window or 0,
        threads,
        config.rms_norm_epsilon,
    )


def cache_type(quantization: str, options: ExecutorOptions) -> str:
    """Type of the numbers in the cache.

    `auto` is float32 where the weights are; else bfloat16 where the kernel path
    multiplies its pairs at once, and float16 where it does not.
    """
    if options.cache_type == "auto":
        if quantization == "float32":
            return "float32"
        return "bfloat16" if choose_path(options.kernel_path) in PAIR_PATHS else "float16"
    if options.cache_type not in CACHE_TYPES:
        raise InvalidParams(
            f"cache_type is {options.cache_type!r}; it must be auto, {', '.join(CACHE_TYPES)}",
            parameter="cache_type",
        )
    return options.cache_type


def memory_estimate(source: ModelSource, quantization: str, options: ExecutorOptions) -> MemoryEstimate:
    """See ExecutorKind.memory_estimate."""
    config = source.config
    block_bytes: int = native_library().native_block_bytes(
        ctypes.byref(native_config(config)), CACHE_TYPES[cache_type(quantization, options)]
    )
    widths = (
        3 * config.hidden_size + config.intermediate_size + 3 * config.num_attention_heads * config.head_dim
    )
    return MemoryEstimate(
        weights_bytes=_weights_bytes(source, quantization),
        bytes_per_block=block_bytes,
        overhead_bytes=int(_ACTIVATION_BYTES * STEP_TOKENS * widths) + 4 * STEP_SAMPLES * config.vocab_size,
    )


def _weights_bytes(source: ModelSource, quantization: str) -> int:
    count = native_library().native_matrix_bytes
    matrix_bytes = functools.cache(lambda number, rows, columns: int(count(number, rows, columns)))
    return sum(
        matrix_bytes(NUMBERS[format_of(slot, tensor, quantization)], *tensor.shape)
        for slot, tensor in matrices(source)
    )
