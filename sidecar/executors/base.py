"""The seam between the engine and whatever runs the model: plain data, no torch.

The engine says which tokens of which rows to compute against which cache
blocks; the executor answers with the tokens it chose. It never sees the
engine's Sequence.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sidecar.generation import SampledLogprobs
from sidecar.models.source import ModelSource

BLOCK_SIZE = 16
"""Tokens in a cache block."""

STATES_NOT_FINITE = "the model computed hidden states that are not finite"
LOGITS_NOT_FINITE = "the model computed logits that are not finite"
NOTHING_ALLOWED = "the constraint leaves no token to choose"
"""What a RowResult's `error` says, whichever executor it comes from."""

ConversionProgress = Callable[[float, str], None]
"""Called with the fraction done (0 to 1) and the stage's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParameters:
    """How to pick one token from logits. Same meaning as in GenerationParams.

    Random numbers come from Philox with key `seed` and counter (`choice`,
    position of the token being chosen), so a seed means the same in any batch.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int = 0
    choice: int = 0
    logprobs: bool = False
    top_logprobs: int = 0


@dataclass(slots=True)
class ExecutionRow:
    """One sequence's part of a step.

    `token_ids` are computed at positions `start`, `start + 1`, …; the cache
    already holds positions below `start` in `block_table` (block ids; position
    p lives in block_table[p // BLOCK_SIZE], slot p % BLOCK_SIZE), which also
    covers the new ones. The last `samples` positions get a token each (0: none,
    1: the last). `sampling` is set when `samples` > 0. `penalty_counts` maps a
    token id to (times generated, in prompt) within repeat_last_n.
    `forbidden_ids` may not be chosen (end of sequence before min_tokens).
    `masks` has one entry for each sampled position, or is empty: a buffer of
    ceil(vocab / 32) little-endian uint32 words, bit set = allowed, or None.
    `cancel` is one byte; when it becomes non-zero the row may be given up
    between layers.
    """

    token_ids: Sequence[int]
    start: int
    block_table: Sequence[int]
    samples: int = 1
    sampling: SamplingParameters | None = None
    penalty_counts: Mapping[int, tuple[int, bool]] = field(default_factory=dict)
    forbidden_ids: Sequence[int] = ()
    masks: Sequence[memoryview | None] = ()
    cancel: bytearray = field(default_factory=lambda: bytearray(1))


@dataclass(slots=True)
class ExecutionBatch:
    """The rows of one step, prefill and decode mixed."""

    rows: Sequence[ExecutionRow]

    @property
    def token_count(self) -> int:
        """Tokens computed by the step."""
        return sum(len(row.token_ids) for row in self.rows)


@dataclass(slots=True)
class RowResult:
    """What a step did for one row: `samples` tokens, or `error`, or `cancelled`."""

    token_ids: tuple[int, ...] = ()
    logprobs: tuple[SampledLogprobs, ...] = ()
    error: str | None = None
    cancelled: bool = False


@dataclass(slots=True)
class ExecutionResult:
    """One RowResult for each row of the batch, in order."""

    rows: Sequence[RowResult]


@dataclass(frozen=True, slots=True)
class CacheLayout:
    """How an executor lays out its cache. `fingerprint` names dtype, strides and layout version."""

    blocks: int
    bytes_per_block: int
    fingerprint: str
    block_size: int = BLOCK_SIZE


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes a model needs before it is loaded."""

    weights_bytes: int
    bytes_per_block: int
    overhead_bytes: int


@dataclass(frozen=True, slots=True)
class ExecutorOptions:
    """How to run. `device` is "auto", "cpu", "cuda", "cuda:1" or "mps"; `threads` None: found out.

    `kernel_path` names the instruction set of an executor that has several;
    `cache_type` the numbers in the key-value cache: "float32", "float16",
    "bfloat16", "int8". "auto" is the executor's own choice for both.
    """

    device: str = "auto"
    threads: int | None = None
    kernel_path: str = "auto"
    cache_type: str = "auto"


@dataclass(frozen=True, slots=True)
class ConvertedModel:
    """A model as an executor wants it: its source, and the folder `convert` filled (None: run the source)."""

    source: ModelSource
    quantization: str
    folder: Path | None = None


class Executor(Protocol):
    """Runs one loaded model. After `load` and `allocate_cache` every call comes from the engine thread."""

    @property
    def name(self) -> str:
        """ "torch", "native" or "scripted"."""

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda:0", "mps"."""

    @property
    def kernel_path(self) -> str:
        """The instruction set it was told or found to use; empty where there is no choice."""

    def load(self, model: ConvertedModel, progress: ConversionProgress) -> None:
        """Bring the weights into reach. Raises ModelLoadFailed or OutOfMemory."""

    def allocate_cache(self, blocks: int) -> CacheLayout:
        """Make room for `blocks` cache blocks. Raises OutOfMemory."""

    def execute(self, batch: ExecutionBatch) -> ExecutionResult:
        """Compute the batch and choose tokens. An exception means that nothing of it may be committed."""

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Copy whole blocks: (source, target)."""

    def export_blocks(self, blocks: Sequence[int]) -> bytes:
        """The content of blocks, in order; `import_blocks` of the same layout takes it back."""

    def import_blocks(self, blocks: Sequence[int], content: bytes) -> None:
        """Fill blocks with what `export_blocks` gave."""

    def close(self) -> None:
        """Give everything back. The executor is unusable afterwards."""


class ExecutorKind(Protocol):
    """A kind of executor, before anything is loaded: what it can do and how to make one."""

    @property
    def name(self) -> str:
        """ "torch", "native" or "scripted"."""

    @property
    def layout_version(self) -> int:
        """Raised whenever what `convert` writes changes; part of the converted-model cache's key."""

    def quantizations(self, source: ModelSource) -> Sequence[str]:
        """What it can run this model as, the one that `auto` means first; empty when it cannot run it."""

    def needs_conversion(self, source: ModelSource, quantization: str) -> bool:
        """Whether its run-ready form differs from the file."""

    def convert(
        self, source: ModelSource, quantization: str, target: Path, progress: ConversionProgress
    ) -> None:
        """Write the run-ready form into the empty folder `target`, tensor by tensor. Runs in a subprocess."""

    def memory_estimate(
        self, source: ModelSource, quantization: str, options: ExecutorOptions
    ) -> MemoryEstimate:
        """What it would need; loads nothing."""

    def create(self, options: ExecutorOptions) -> Executor:
        """A new executor. Raises Unsupported when it cannot run as the options say."""
