"""How much cache an engine gets, decided before anything is allocated.

Linux kills a process that takes too much rather than refusing it, so the
executor's estimate is held against what the machine and our control group
have to spare.
"""

from dataclasses import dataclass

from sidecar.engine.block_pool import blocks_for
from sidecar.engine.config import EngineConfig
from sidecar.errors import OutOfMemory
from sidecar.executors.base import BLOCK_SIZE, MemoryEstimate
from sidecar.executors.memory import mebibytes

DEFAULT_CONTEXT_LENGTH = 8192
DEFAULT_STREAMS_TOKENS = 4096
"""Cache beyond one whole context, for other requests and known prefixes."""
DEFAULT_CACHE_BYTES = 256 * 2**20
"""The cache exceeds this only to hold one whole context."""
LEAST_CONTEXT_LENGTH = 2048
"""Where memory is short and no length was asked for, the context shrinks to this before a load is refused."""
SPARE_SHARE = 0.75
"""Part of the available memory that a model without a budget may take."""


@dataclass(frozen=True, slots=True)
class CachePlan:
    """Blocks to allocate, and the longest sequence that is accepted."""

    blocks: int
    context_length: int


def plan_cache(
    config: EngineConfig, model_context_length: int, estimate: MemoryEstimate, available_bytes: int
) -> CachePlan:
    """Size the cache by need, within the budget. Raises OutOfMemory naming needed and available bytes."""
    context = min(model_context_length, config.context_length or DEFAULT_CONTEXT_LENGTH)
    blocks = _wanted_blocks(config, context, estimate)
    limit = min(available_bytes, config.memory_budget_bytes or int(available_bytes * SPARE_SHARE))
    fixed = estimate.weights_bytes + estimate.overhead_bytes
    affordable = max(0, limit - fixed) // max(1, estimate.bytes_per_block)
    if affordable < blocks:
        least = _least_blocks(config, context)
        if affordable < least:
            needed = fixed + least * estimate.bytes_per_block
            raise OutOfMemory(
                f"model {config.model!r} needs {mebibytes(needed)} for weights and a cache of "
                f"{least * BLOCK_SIZE} tokens; {mebibytes(limit)} are available",
                data={"needed_bytes": needed, "available_bytes": limit},
            )
        blocks = affordable
    return CachePlan(blocks, min(context, blocks * BLOCK_SIZE))


def _wanted_blocks(config: EngineConfig, context: int, estimate: MemoryEstimate) -> int:
    if config.cache_tokens is not None:
        return blocks_for(config.cache_tokens)
    usual = blocks_for(context + DEFAULT_STREAMS_TOKENS)
    return max(blocks_for(context), min(usual, DEFAULT_CACHE_BYTES // max(1, estimate.bytes_per_block)))


def _least_blocks(config: EngineConfig, context: int) -> int:
    if config.cache_tokens is not None:
        return blocks_for(config.cache_tokens)
    return blocks_for(context if config.context_length else min(context, LEAST_CONTEXT_LENGTH))
