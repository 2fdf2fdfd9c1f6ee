"""The native executor: the C++ model behind the seam. See Executor."""

import ctypes
from array import array
from collections.abc import Sequence

from sidecar.errors import InvalidParams, ModelLoadFailed, ModelNotLoaded, OutOfMemory, SidecarError
from sidecar.executors.base import (
    CacheLayout,
    ConversionProgress,
    ConvertedModel,
    ExecutionBatch,
    ExecutionResult,
    ExecutorOptions,
)
from sidecar.executors.memory import require_memory
from sidecar.executors.native.batch import PackedBatch
from sidecar.executors.native.buffers import address_of
from sidecar.executors.native.estimate import cache_type, memory_estimate, native_config
from sidecar.executors.native.formats import CACHE_TYPES
from sidecar.executors.native.library import choose_path, last_error, native_library
from sidecar.executors.native.weights import OUT_OF_MEMORY, load_weights
from sidecar.executors.threads import default_threads
from sidecar.models.source import ModelSource

NAME = "native"
LAYOUT_VERSION = 1
"""Raised when what a cache block holds changes."""
PHASES = (
    "embed",
    "normalize",
    "project heads",
    "place heads",
    "attend",
    "merge",
    "project output",
    "gate and up",
    "down",
    "head",
    "sample",
)
"""The phases of a step in C++, in the order of step.h."""


class NativeExecutor:
    """See Executor."""

    def __init__(self, options: ExecutorOptions) -> None:
        """Raises Unsupported when the library or the kernel path is not there."""
        self._library = native_library()
        self._options = options
        self._path = choose_path(options.kernel_path)
        self._threads = options.threads or default_threads()
        self._handle: int | None = None
        self._source: ModelSource | None = None
        self._quantization = ""
        self._block_bytes = 0

    @property
    def name(self) -> str:
        """See Executor."""
        return NAME

    @property
    def device(self) -> str:
        """See Executor."""
        return "cpu"

    @property
    def kernel_path(self) -> str:
        """See Executor."""
        return self._path

    def load(self, model: ConvertedModel, progress: ConversionProgress) -> None:
        """See Executor."""
        source = model.source
        estimate = memory_estimate(source, model.quantization, self._options)
        require_memory(estimate.weights_bytes + estimate.overhead_bytes, f"the weights of {source.path}")
        progress(0.0, "loading weights")
        config = native_config(source.config, self._threads)
        handle: int | None = self._library.native_create(ctypes.byref(config), self._path.encode())
        if handle is None:
            raise ModelLoadFailed(f"{source.path}: {last_error()}")
        self.close()
        # The embedding is read from the mapped file: its source must live as long as the model.
        self._handle, self._source, self._quantization = handle, source, model.quantization
        load_weights(handle, source, model.quantization, progress)

    def allocate_cache(self, blocks: int) -> CacheLayout:
        """See Executor."""
        source, handle = self._loaded()
        kind = cache_type(self._quantization, self._options)
        estimate = memory_estimate(source, self._quantization, self._options)
        require_memory(blocks * estimate.bytes_per_block, f"a cache of {blocks} blocks")
        self._check(self._library.native_allocate_cache(handle, blocks, CACHE_TYPES[kind]))
        config = source.config
        shape = f"{config.num_layers}x{config.num_key_value_heads}x{config.head_dim}"
        self._block_bytes = estimate.bytes_per_block
        return CacheLayout(
            blocks=blocks,
            bytes_per_block=estimate.bytes_per_block,
            fingerprint=f"{NAME}-{LAYOUT_VERSION}-{kind}-{shape}-{self._path}",
        )

    def execute(self, batch: ExecutionBatch) -> ExecutionResult:
        """See Executor. Raises OutOfMemory, or InvalidParams for a batch that is not sound."""
        if not batch.rows:
            return ExecutionResult([])
        packed = self._execute(batch, None)
        return ExecutionResult(packed.results())

    def logits(self, batch: ExecutionBatch) -> "array[float]":
        """Raw logits float32 [sampled positions, vocabulary] of a batch; for measuring a model."""
        source, _ = self._loaded()
        count = sum(row.samples for row in batch.rows)
        logits = array("f", bytes(4 * count * source.config.vocab_size))
        self._execute(batch, logits)
        return logits

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        """See Executor."""
        _, handle = self._loaded()
        flat = array("i", [block for pair in pairs for block in pair])
        self._check(self._library.native_copy_blocks(handle, flat.buffer_info()[0], len(pairs)))

    def export_blocks(self, blocks: Sequence[int]) -> bytes:
        """See Executor."""
        _, handle = self._loaded()
        content = bytearray(len(blocks) * self._block_bytes)
        target = (ctypes.c_char * len(content)).from_buffer(content)
        numbers = array("i", blocks)
        self._check(
            self._library.native_export_blocks(
                handle, numbers.buffer_info()[0], len(blocks), ctypes.addressof(target), len(content)
            )
        )
        return bytes(content)

    def import_blocks(self, blocks: Sequence[int], content: bytes) -> None:
        """See Executor. Raises InvalidParams when the content is not that of so many blocks."""
        _, handle = self._loaded()
        numbers = array("i", blocks)
        self._check(
            self._library.native_import_blocks(
                handle, numbers.buffer_info()[0], len(blocks), address_of(content), len(content)
            )
        )

    def take_times(self) -> dict[str, float]:
        """Seconds spent in each phase of the steps since the last call."""
        _, handle = self._loaded()
        seconds = (ctypes.c_double * len(PHASES))()
        self._check(self._library.native_take_times(handle, seconds, len(PHASES)))
        return dict(zip(PHASES, seconds, strict=True))

    def close(self) -> None:
        """See Executor."""
        if self._handle is not None:
            self._library.native_destroy(self._handle)
        self._handle = self._source = None

    def _execute(self, batch: ExecutionBatch, logits: "array[float] | None") -> PackedBatch:
        source, handle = self._loaded()
        packed = PackedBatch(batch, source.config.vocab_size)
        structure = packed.structure()
        self._check(
            self._library.native_execute(
                handle,
                ctypes.byref(structure),
                packed.statuses.buffer_info()[0],
                ctypes.addressof(packed.samples),
                packed.top_tokens.buffer_info()[0],
                packed.top_values.buffer_info()[0],
                None if logits is None else logits.buffer_info()[0],
            )
        )
        return packed

    def _loaded(self) -> tuple[ModelSource, int]:
        if self._handle is None or self._source is None:
            raise ModelNotLoaded("the native executor has no model; load comes first")
        return self._source, self._handle

    def _check(self, failed: int) -> None:
        if failed:
            reason = last_error()
            error: type[SidecarError] = OutOfMemory if reason == OUT_OF_MEMORY else InvalidParams
            raise error(f"the native executor: {reason}")
