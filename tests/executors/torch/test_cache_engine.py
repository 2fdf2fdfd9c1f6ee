"""The cache's memory: layout, copies, exports."""

import pytest
import torch

from sidecar.errors import InvalidParams
from sidecar.executors.torch.cache_engine import CacheEngine, bytes_per_block
from sidecar.models.config import ModelConfig

CONFIG = ModelConfig(
    architecture="llama",
    vocab_size=32,
    hidden_size=32,
    intermediate_size=64,
    num_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    context_length=256,
    rms_norm_epsilon=1e-5,
)
CPU = torch.device("cpu")


def filled_cache(dtype: torch.dtype = torch.float32) -> CacheEngine:
    cache = CacheEngine(CONFIG, 6, dtype, CPU)
    cache.tensor.copy_(torch.randn(cache.shape))
    return cache


def block(cache: CacheEngine, index: int) -> torch.Tensor:
    return cache.tensor[:, :, index].clone()


@pytest.mark.parametrize(("dtype", "item_bytes"), [(torch.float32, 4), (torch.bfloat16, 2)])
def test_layout_says_what_a_block_takes(dtype: torch.dtype, item_bytes: int) -> None:
    cache = CacheEngine(CONFIG, 6, dtype, CPU)
    assert cache.layout.bytes_per_block == 3 * 2 * 2 * 16 * 8 * item_bytes == bytes_per_block(CONFIG, dtype)
    assert cache.tensor.nbytes == 6 * cache.layout.bytes_per_block
    assert cache.layout.blocks == 6
    assert not cache.tensor.any()


def test_fingerprints_tell_types_apart() -> None:
    fingerprints = {
        CacheEngine(CONFIG, 1, dtype, CPU).layout.fingerprint for dtype in (torch.float32, torch.bfloat16)
    }
    assert len(fingerprints) == 2


def test_write_puts_heads_where_their_slots_are() -> None:
    cache = CacheEngine(CONFIG, 6, torch.float32, CPU)
    values = torch.randn(2, 4, 8)
    cache.write(1, torch.tensor([5 * 16 + 3, 2 * 16]), values)
    assert torch.equal(cache.tensor[1, :, 5, 3], values[0])
    assert torch.equal(cache.tensor[1, :, 2, 0], values[1])
    assert int(cache.tensor.count_nonzero()) == values.numel()


def test_copies_read_all_sources_before_they_write() -> None:
    cache = filled_cache()
    first, second = block(cache, 0), block(cache, 1)
    cache.copy([(0, 1), (1, 0), (1, 4)])
    assert torch.equal(block(cache, 1), first)
    assert torch.equal(block(cache, 0), second)
    assert torch.equal(block(cache, 4), second)
    cache.copy([])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_export_comes_back_in_other_blocks(dtype: torch.dtype) -> None:
    cache = filled_cache(dtype)
    kept = [block(cache, 3), block(cache, 1)]
    content = cache.export([3, 1])
    assert len(content) == 2 * cache.layout.bytes_per_block
    other = CacheEngine(CONFIG, 8, dtype, CPU)
    other.restore([7, 2], content)
    assert torch.equal(block(other, 7), kept[0])
    assert torch.equal(block(other, 2), kept[1])


def test_an_import_of_another_size_or_with_nan_is_refused() -> None:
    cache = filled_cache()
    with pytest.raises(InvalidParams, match="take"):
        cache.restore([0, 1], cache.export([0]))
    before = block(cache, 0)
    with pytest.raises(InvalidParams, match="not finite"):
        cache.restore([0], b"\xff" * cache.layout.bytes_per_block)
    assert torch.equal(block(cache, 0), before)


def test_clearing_slots_removes_nan_from_every_layer() -> None:
    cache = filled_cache()
    cache.tensor[:, :, 2, 5] = float("nan")
    cache.clear_slots(torch.tensor([2 * 16 + 5]))
    assert bool(cache.tensor.isfinite().all())
    assert not cache.tensor[:, :, 2, 5].any()
