"""Small models of random stored blocks, in memory: any type that a file may have, no file needed."""

import random
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

from sidecar.models.config import DType, ModelConfig
from sidecar.models.names import expected_shapes
from sidecar.models.source import ModelSource, StoredTensor, TokenizerSource

QUANTIZED = tuple(dtype for dtype in DType if dtype.is_quantized)
_FACTORS = {
    # Byte offsets of float16 numbers in a block: scales, then minimums, with weights of about 0.1.
    DType.Q4_0: ({0: 0.02}, {}),
    DType.Q4_1: ({0: 0.02}, {2: -0.15}),
    DType.Q5_0: ({0: 0.01}, {}),
    DType.Q5_1: ({0: 0.01}, {2: -0.15}),
    DType.Q8_0: ({0: 0.0015}, {}),
    DType.Q4_K: ({0: 0.0006, 2: 0.0045}, {}),
    DType.Q5_K: ({0: 0.0003, 2: 0.0045}, {}),
    DType.Q6_K: ({208: 0.0001}, {}),
}


_SMALL = ModelConfig(
    architecture="llama",
    vocab_size=320,
    hidden_size=256,
    intermediate_size=512,
    num_layers=2,
    num_attention_heads=8,
    num_key_value_heads=2,
    head_dim=32,
    context_length=1024,
    rms_norm_epsilon=1e-5,
)


def random_source(
    dtype: DType, config: ModelConfig, *, seed: int = 0, others: DType = DType.F32, permuted_qk: bool = False
) -> ModelSource:
    """A model whose matrices are stored as `dtype` and whose vectors are `others`."""
    generator = random.Random(seed)
    tensors = {
        name: random_tensor(name, dtype if len(shape) == 2 else others, shape, generator)
        for name, shape in expected_shapes(config).items()
    }
    return ModelSource(
        path=Path(f"random-{dtype.value}"),
        file_format="gguf",
        config=config,
        tensors=tensors,
        tokenizer=TokenizerSource(),
        permuted_qk=permuted_qk,
    )


def random_tensor(name: str, dtype: DType, shape: tuple[int, ...], generator: random.Random) -> StoredTensor:
    """Norms around 1, other floats around 0, blocks of random codes with like scales."""
    count = 1
    for size in shape:
        count *= size
    if dtype.is_quantized:
        data = bytearray(generator.randbytes(count // dtype.block_elements * dtype.block_bytes))
        for factors in _FACTORS[dtype]:
            for offset, factor in factors.items():
                for begin in range(offset, len(data), dtype.block_bytes):
                    struct.pack_into("<e", data, begin, factor * generator.uniform(0.5, 1.5))
    else:
        middle, spread = (1.0, 0.2) if "norm" in name else (0.0, 0.1)
        numbers = (generator.gauss(middle, spread) for _ in range(count))
        if dtype is DType.F32:
            data = bytearray(struct.pack(f"<{count}f", *numbers))
        elif dtype is DType.F16:
            data = bytearray(struct.pack(f"<{count}e", *numbers))
        else:
            data = bytearray(b"".join(struct.pack("<f", number)[2:] for number in numbers))
    return StoredTensor(name, dtype, shape, memoryview(bytes(data)))


def small_config(**changes: Any) -> ModelConfig:
    """Two layers of width 256, so that every block format fits."""
    return replace(_SMALL, **changes)
