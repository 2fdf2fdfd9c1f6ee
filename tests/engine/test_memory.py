import pytest

from sidecar.engine.config import EngineConfig
from sidecar.engine.memory import CachePlan, plan_cache
from sidecar.errors import OutOfMemory
from sidecar.executors.base import MemoryEstimate

MIB = 2**20
PLENTY = 64 * 2**30
SMALL = MemoryEstimate(weights_bytes=100 * MIB, bytes_per_block=MIB // 4, overhead_bytes=50 * MIB)


def plan(available: int = PLENTY, model_context: int = 8192, **settings: int) -> CachePlan:
    return plan_cache(EngineConfig(**settings), model_context, SMALL, available)


def test_by_default_the_cache_holds_a_context_and_some_streams_within_its_byte_limit() -> None:
    assert plan() == CachePlan(blocks=768, context_length=8192)
    large = MemoryEstimate(weights_bytes=0, bytes_per_block=MIB, overhead_bytes=0)
    assert plan_cache(EngineConfig(), 8192, large, PLENTY) == CachePlan(blocks=512, context_length=8192)


def test_a_long_model_gets_the_default_context_and_a_short_one_its_own() -> None:
    assert plan(model_context=131072).context_length == 8192
    assert plan(model_context=2048) == CachePlan(blocks=384, context_length=2048)


def test_what_is_asked_for_is_given() -> None:
    assert plan(context_length=16384, model_context=32768) == CachePlan(1024, 16384)
    assert plan(cache_tokens=1000) == CachePlan(63, 1008)
    assert plan(context_length=512, cache_tokens=4096) == CachePlan(256, 512)


def test_a_tight_budget_shrinks_the_default_but_not_what_was_asked_for() -> None:
    budget = (150 + 50) * MIB
    assert plan(memory_budget_bytes=budget) == CachePlan(200, 3200)
    with pytest.raises(OutOfMemory) as caught:
        plan(memory_budget_bytes=budget, context_length=8192)
    assert caught.value.data == {"needed_bytes": (150 + 128) * MIB, "available_bytes": budget}
    assert "278 MiB" in caught.value.message
    assert "200 MiB" in caught.value.message
    with pytest.raises(OutOfMemory):
        plan(memory_budget_bytes=budget, cache_tokens=4096)


def test_without_a_budget_a_quarter_of_what_is_available_is_left_alone() -> None:
    assert plan(available=400 * MIB) == CachePlan(600, 8192)
    with pytest.raises(OutOfMemory):
        plan(available=190 * MIB)


def test_a_budget_beyond_the_machine_does_not_help() -> None:
    with pytest.raises(OutOfMemory):
        plan(available=150 * MIB, memory_budget_bytes=PLENTY)
