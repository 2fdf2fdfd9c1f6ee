"""The torch executor: any device, the reference for every other.

Knows tensors, blocks and one model; nothing of sequences, requests or text.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from sidecar.errors import ModelNotLoaded, OutOfMemory
from sidecar.executors.base import (
    CacheLayout,
    ConversionProgress,
    ConvertedModel,
    ExecutionBatch,
    ExecutionResult,
)
from sidecar.executors.memory import require_memory
from sidecar.executors.threads import default_threads
from sidecar.executors.torch.cache_engine import CacheEngine
from sidecar.executors.torch.devices import resolve_device
from sidecar.executors.torch.estimate import memory_estimate
from sidecar.executors.torch.formats import cache_dtype
from sidecar.executors.torch.model_runner import ModelRunner
from sidecar.executors.torch.models.decoder import DecoderModel
from sidecar.executors.torch.weights import ModelWeights

NAME = "torch"
_ALLOCATION_FAILURES = ("not enough memory", "can't allocate memory", "out of memory")


class TorchExecutor:
    """See Executor. `load`, then `allocate_cache`, then the rest; `close` at any time."""

    def __init__(self, device: str, threads: int | None) -> None:
        """Raises Unsupported when the device is not there."""
        self._device = resolve_device(device)
        self._threads = threads or default_threads()
        self._model: DecoderModel | None = None
        self._cache_dtype = torch.float32
        self._runner: ModelRunner | None = None

    @property
    def name(self) -> str:
        """See Executor."""
        return NAME

    @property
    def device(self) -> str:
        """See Executor."""
        return str(self._device)

    @property
    def kernel_path(self) -> str:
        """See Executor: torch chooses by itself."""
        return ""

    @property
    def runner(self) -> ModelRunner:
        """The model with its cache, for measurements. Raises ModelNotLoaded before both are there."""
        if self._runner is None:
            raise ModelNotLoaded(
                "the torch executor has no model and cache; load and allocate_cache come first"
            )
        return self._runner

    @torch.inference_mode()
    def load(self, model: ConvertedModel, progress: ConversionProgress) -> None:
        """See Executor."""
        progress(0.0, "loading weights")
        config = model.source.config
        estimate = memory_estimate(config, model.quantization)
        require_memory(
            estimate.weights_bytes + estimate.overhead_bytes, f"the weights of {model.source.path}"
        )
        with self._prepared():
            self._model = DecoderModel(config, ModelWeights(model, self._device), self._device)
        self._cache_dtype = cache_dtype(model.quantization)
        progress(1.0, "loading weights")

    @torch.inference_mode()
    def allocate_cache(self, blocks: int) -> CacheLayout:
        """See Executor."""
        if self._model is None:
            raise ModelNotLoaded("the torch executor has no model; load comes before allocate_cache")
        with self._prepared():
            cache = CacheEngine(self._model.config, blocks, self._cache_dtype, self._device)
        self._runner = ModelRunner(self._model, cache)
        return cache.layout

    @torch.inference_mode()
    def execute(self, batch: ExecutionBatch) -> ExecutionResult:
        """See Executor. Raises OutOfMemory when an allocation fails."""
        with self._prepared():
            return self.runner.execute(batch)

    @torch.inference_mode()
    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        """See Executor."""
        self.runner.cache.copy(pairs)

    @torch.inference_mode()
    def export_blocks(self, blocks: Sequence[int]) -> bytes:
        """See Executor."""
        return self.runner.cache.export(blocks)

    @torch.inference_mode()
    def import_blocks(self, blocks: Sequence[int], content: bytes) -> None:
        """See Executor. Raises InvalidParams when the content is not such blocks."""
        self.runner.cache.restore(blocks, content)

    def close(self) -> None:
        """See Executor."""
        self._model = None
        self._runner = None

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        """This executor's thread count in the calling thread, and failed allocations as OutOfMemory."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or any(text in str(error) for text in _ALLOCATION_FAILURES):
                raise OutOfMemory(f"an allocation failed on {self.device}: {error}") from error
            raise
