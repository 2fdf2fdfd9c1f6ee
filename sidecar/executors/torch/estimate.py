"""What a model will need of memory, worked out from its shape."""

from sidecar.executors.base import MemoryEstimate
from sidecar.executors.torch.cache_engine import bytes_per_block
from sidecar.executors.torch.formats import cache_dtype, usual_format
from sidecar.executors.torch.weight_layout import model_layout
from sidecar.models.config import ModelConfig

STEP_TOKENS = 512
"""Tokens of a large step: its activations are what a running model needs beside weights and cache."""
STEP_SAMPLES = 32
LIVE_COPIES = 3
"""Float copies of the widest activations that exist at once."""


def memory_estimate(config: ModelConfig, quantization: str) -> MemoryEstimate:
    """See ExecutorKind.memory_estimate. Under "int4" the file's layers are taken to have 4 bits."""
    weights = 0
    vector_elements = config.parameter_count
    for matrix in model_layout(config).matrices:
        specs = usual_format(matrix, quantization).tensors(matrix.rows, matrix.columns)
        weights += sum(spec.byte_count for spec in specs.values())
        vector_elements -= matrix.rows * matrix.columns
    weights += 4 * vector_elements
    widest = max(2 * config.intermediate_size, 3 * config.hidden_size)
    overhead = 4 * LIVE_COPIES * (STEP_TOKENS * widest + STEP_SAMPLES * config.vocab_size)
    return MemoryEstimate(
        weights_bytes=weights,
        bytes_per_block=bytes_per_block(config, cache_dtype(quantization)),
        overhead_bytes=overhead,
    )
