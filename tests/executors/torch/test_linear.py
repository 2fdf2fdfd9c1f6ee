"""Every weight format: what is stored, and how near its products are to exact ones."""

import pytest
import torch

from sidecar.executors.torch.dequantize import dequantize
from sidecar.executors.torch.linear import int4
from sidecar.executors.torch.linear.base import (
    Linear,
    StackedLinear,
    WeightFormat,
    Workspace,
    float_rows,
    rotary_order,
)
from sidecar.executors.torch.linear.dense import DenseFormat, low_precision_linear
from sidecar.executors.torch.linear.int4 import Int4Format, Int4Linear
from sidecar.executors.torch.linear.int8 import (
    HALF_BASE,
    DequantizingLinear,
    Int8Format,
    IntegerLinear,
    split_activations,
)
from sidecar.models.config import DType
from sidecar.models.source import StoredTensor

CPU = torch.device("cpu")
ROWS, COLUMNS = 128, 256
TOKENS = (1, 7, 40, 300)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def stored_float(weight: torch.Tensor) -> StoredTensor:
    return StoredTensor("w", DType.F32, tuple(weight.shape), memoryview(weight.numpy().tobytes()))


def stored_blocks(dtype: DType, rows: int = ROWS, columns: int = COLUMNS) -> StoredTensor:
    """Random blocks with scales of the size that models have."""
    generator = torch.Generator().manual_seed(1)
    count = rows * columns // dtype.block_elements
    blocks = torch.randint(0, 256, (count, dtype.block_bytes), dtype=torch.uint8, generator=generator)
    for offset in (0,) if dtype is DType.Q4_0 else (0, 2):
        scales = torch.rand(count, 1, generator=generator).mul_(0.01).to(torch.float16)
        blocks[:, offset : offset + 2] = scales.view(torch.uint8)
    return StoredTensor("w", dtype, (rows, columns), memoryview(blocks.numpy().tobytes()))


def load(
    weight_format: WeightFormat, *stored: StoredTensor, heads: int = 0, bias: torch.Tensor | None = None
) -> Linear:
    """Matrices one below the other, stored and loaded again."""
    rows = sum(item.shape[0] for item in stored)
    specs = weight_format.tensors(rows, stored[0].shape[1])
    target = {suffix: torch.zeros(spec.shape, dtype=spec.dtype) for suffix, spec in specs.items()}
    row = 0
    for item in stored:
        weight_format.fill(target, row, item, heads)
        row += item.shape[0]
    return weight_format.load(target, bias, Workspace(CPU))


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.to(torch.float32) - expected).norm() / expected.norm())


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize(
    ("weight_format", "tolerance"),
    [(DenseFormat(torch.float32), 1e-6), (DenseFormat(torch.bfloat16), 6e-3), (Int8Format(), 1e-2)],
    ids=["float32", "bfloat16", "int8"],
)
def test_products_of_float_weights(weight_format: WeightFormat, tolerance: float, tokens: int) -> None:
    first, second, bias = random(ROWS, COLUMNS), random(64, COLUMNS, seed=1), random(ROWS + 64, seed=2)
    inputs = random(tokens, COLUMNS, seed=3)
    linear = load(weight_format, stored_float(first), stored_float(second), bias=bias)
    expected = inputs @ torch.cat((first, second)).t() + bias
    assert relative_error(linear(inputs), expected) < tolerance
    assert relative_error(linear(inputs.to(torch.bfloat16)), expected) < tolerance + 6e-3


@pytest.mark.parametrize("dtype", int4.FORMATS, ids=lambda dtype: dtype.value)
@pytest.mark.parametrize("tokens", TOKENS)
def test_products_of_4_bit_weights_few_tokens_and_many(dtype: DType, tokens: int) -> None:
    stored, bias = stored_blocks(dtype), random(2 * ROWS, seed=2)
    inputs = random(tokens, COLUMNS, seed=3)
    linear = load(Int4Format(), stored, stored, bias=bias)
    weight = dequantize(stored)
    assert relative_error(linear(inputs), inputs @ torch.cat((weight, weight)).t() + bias) < 8e-3


def test_4_bit_weights_lose_nothing_but_the_scales_last_bits() -> None:
    stored = stored_blocks(DType.Q4_1)
    linear = load(Int4Format(), stored)
    assert isinstance(linear, Int4Linear)
    step = 0.01
    difference = linear.transposed().t().to(torch.float32) - dequantize(stored)
    assert float(difference.abs().max()) < step * 0.1
    codes = torch.randint(0, 16, (ROWS, COLUMNS), dtype=torch.uint8)
    assert torch.equal(int4.unpack(int4.pack(codes)), codes)


def test_4_bit_weights_are_repacked_for_a_kernel_of_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    stored, inputs = stored_blocks(DType.Q4_1), random(5, COLUMNS)
    expected = load(Int4Format(), stored)(inputs)
    monkeypatch.setattr(int4, "_is_kernel_order", lambda: False)
    assert torch.equal(load(Int4Format(), stored)(inputs), expected)


@pytest.mark.parametrize("outlier", [1.0, 1000.0])
def test_activations_keep_16_bits_next_to_an_outlier(outlier: float) -> None:
    inputs = random(6, COLUMNS)
    inputs[:, 3] = outlier
    halves, step = split_activations(inputs)
    assert halves.dtype == torch.int8
    assert halves.shape == (12, COLUMNS)
    high, low = halves.to(torch.float32).chunk(2)
    bound = inputs.abs().amax(dim=-1, keepdim=True) / 64_000
    assert bool(((high * HALF_BASE + low) * step - inputs).abs().le(bound).all())


def test_integer_products_do_not_depend_on_the_batch() -> None:
    linear = load(Int8Format(), stored_float(random(ROWS, COLUMNS)))
    if not isinstance(linear, IntegerLinear):
        pytest.skip("this CPU has no VNNI, so that int8 weights are multiplied as floats")
    inputs = random(200, COLUMNS, seed=3)
    together = linear(inputs)
    for token in (0, 1, 63, 128, 199):
        assert torch.equal(linear(inputs[token : token + 1])[0], together[token])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int8_weights_multiply_as_floats_where_integers_are_slow(dtype: torch.dtype) -> None:
    weight, bias, inputs = random(ROWS, COLUMNS), random(ROWS, seed=2), random(9, COLUMNS, seed=3)
    scale = weight.abs().amax(dim=-1) / 127
    linear = DequantizingLinear((weight / scale[:, None]).round().to(torch.int8), scale, bias, dtype)
    assert relative_error(linear(inputs), inputs @ weight.t() + bias) < 1.5e-2


@pytest.mark.parametrize(
    ("weight_format", "tolerance"),
    [(DenseFormat(torch.float32), 0.0), (DenseFormat(torch.bfloat16), 4e-3), (Int8Format(), 1e-2)],
)
def test_lookup_gives_rows(weight_format: DenseFormat | Int8Format, tolerance: float) -> None:
    weight = random(ROWS, COLUMNS)
    target = {
        suffix: torch.zeros(spec.shape, dtype=spec.dtype)
        for suffix, spec in weight_format.tensors(ROWS, COLUMNS).items()
    }
    weight_format.fill(target, 0, stored_float(weight), 0)
    found = weight_format.load(target, None, Workspace(CPU)).lookup(torch.tensor([5, 0, 127]))
    assert found.dtype == torch.float32
    assert relative_error(found, weight[[5, 0, 127]]) <= tolerance


def test_a_row_of_zeros_stays_zero() -> None:
    weight = random(ROWS, COLUMNS)
    weight[7] = 0
    outputs = load(Int8Format(), stored_float(weight))(random(2, COLUMNS))
    assert not outputs[:, 7].any()
    assert not load(Int8Format(), stored_float(weight))(torch.zeros(1, COLUMNS)).any()


@pytest.mark.parametrize("weight_format", [DenseFormat(torch.float32), Int8Format()])
def test_rows_of_q_and_k_are_put_in_order(weight_format: WeightFormat) -> None:
    """GGUF writes rows 0, 4, 1, 5, 2, 6, 3, 7 of a head of eight."""
    heads, head_dim = 16, ROWS // 16
    weight, inputs = random(ROWS, COLUMNS), random(3, COLUMNS, seed=3)
    pairs = weight.view(heads, 2, head_dim // 2, COLUMNS)
    interleaved = pairs.transpose(1, 2).reshape(ROWS, COLUMNS).contiguous()
    assert torch.equal(interleaved[rotary_order(ROWS, heads)], weight)
    found = load(weight_format, stored_float(interleaved), heads=heads)(inputs)
    assert torch.equal(found, load(weight_format, stored_float(weight))(inputs))


def test_rows_of_4_bit_q_and_k_are_put_in_order() -> None:
    stored, inputs = stored_blocks(DType.Q4_1), random(3, COLUMNS, seed=3)
    plain, ordered = load(Int4Format(), stored)(inputs), load(Int4Format(), stored, heads=2)(inputs)
    assert torch.equal(ordered, plain[:, rotary_order(ROWS, 2)])


def test_long_matrices_are_read_in_chunks_of_whole_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.executors.torch.linear.base.CHUNK_ELEMENTS", 3 * 16 * COLUMNS)
    weight = random(ROWS, COLUMNS)
    chunks = list(float_rows(stored_float(weight), 8))
    assert [(begin, len(chunk)) for begin, chunk in chunks] == [(0, 48), (48, 48), (96, 32)]
    assert torch.equal(torch.cat([chunk for _, chunk in chunks]), weight[rotary_order(ROWS, 8)])


def test_a_stack_acts_as_one_matrix() -> None:
    first, second, inputs = random(64, COLUMNS), random(32, COLUMNS, seed=1), random(4, COLUMNS, seed=3)
    stack = StackedLinear(
        [load(DenseFormat(torch.float32), stored_float(first)), load(Int8Format(), stored_float(second))]
    )
    assert relative_error(stack(inputs), inputs @ torch.cat((first, second)).t()) < 1e-2


@pytest.mark.parametrize("tokens", [1, 16, 17, 64, 65, 100, 128])
def test_padding_changes_no_product(tokens: int) -> None:
    inputs, weight = random(tokens, 64).to(torch.bfloat16), random(32, 64).to(torch.bfloat16)
    found = low_precision_linear(inputs, weight)
    assert found.shape == (tokens, 32)
    assert relative_error(found, inputs.to(torch.float32) @ weight.to(torch.float32).t()) < 6e-3
