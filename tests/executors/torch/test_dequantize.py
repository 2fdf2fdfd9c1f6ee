"""Every block format against the gguf package's own reference."""

import gguf
import numpy as np
import pytest
import torch

from sidecar.executors.torch.dequantize import dequantize, dequantize_rows
from sidecar.models.config import DType
from sidecar.models.source import StoredTensor

QUANTIZED = [dtype for dtype in DType if dtype.is_quantized]


def random_blocks(dtype: DType, rows: int, columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Random bytes, whose scales are made ordinary float16 numbers."""
    generator = np.random.default_rng(dtype.block_bytes)
    blocks = generator.integers(
        0, 256, (rows * columns // dtype.block_elements, dtype.block_bytes), dtype=np.uint8
    )
    scale_places = {
        DType.Q4_K: (0, 2),
        DType.Q5_K: (0, 2),
        DType.Q6_K: (208,),
        DType.Q4_1: (0, 2),
        DType.Q5_1: (0, 2),
    }
    for place in scale_places.get(dtype, (0,)):
        scales = generator.uniform(-2, 2, len(blocks)).astype(np.float16)
        blocks[:, place : place + 2] = scales.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(rows, -1)


def stored(dtype: DType, content: bytes, shape: tuple[int, ...]) -> StoredTensor:
    return StoredTensor("t", dtype, shape, memoryview(content))


@pytest.mark.parametrize("dtype", QUANTIZED, ids=lambda dtype: dtype.value)
def test_equals_the_reference(dtype: DType) -> None:
    rows, columns = 6, 512
    blocks = random_blocks(dtype, rows, columns)
    expected = gguf.dequantize(blocks, gguf.GGMLQuantizationType[dtype.value]).reshape(rows, columns)
    tensor = stored(dtype, blocks.tobytes(), (rows, columns))
    torch.testing.assert_close(dequantize(tensor), torch.from_numpy(expected), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        dequantize_rows(tensor, 2, 5), torch.from_numpy(expected[2:5]), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("dtype", [DType.F32, DType.F16, DType.BF16], ids=lambda dtype: dtype.value)
def test_plain_numbers_are_taken_as_they_are(dtype: DType) -> None:
    torch_dtype = {DType.F32: torch.float32, DType.F16: torch.float16, DType.BF16: torch.bfloat16}[dtype]
    values = torch.randn(4, 8, generator=torch.Generator().manual_seed(1)).to(torch_dtype)
    content = values.view(torch.uint8).numpy().tobytes()
    assert torch.equal(dequantize(stored(dtype, content, (4, 8))), values.to(torch.float32))
    assert torch.equal(
        dequantize(stored(dtype, content[: 8 * torch_dtype.itemsize], (8,))), values[0].float()
    )
