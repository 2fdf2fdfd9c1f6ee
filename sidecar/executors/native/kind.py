"""What the native executor can run, and as what."""

from collections.abc import Sequence
from pathlib import Path

from sidecar.errors import Unsupported
from sidecar.executors import rope
from sidecar.executors.base import ConversionProgress, Executor, ExecutorOptions, MemoryEstimate
from sidecar.executors.native import estimate, formats
from sidecar.executors.native.executor import NAME, NativeExecutor
from sidecar.models.source import ModelSource

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")
HEAD_DIMENSIONS = range(16, 257, 16)


class NativeExecutorKind:
    """See ExecutorKind."""

    @property
    def name(self) -> str:
        """See ExecutorKind."""
        return NAME

    @property
    def layout_version(self) -> int:
        """See ExecutorKind. Nothing is ever converted."""
        return 0

    def quantizations(self, source: ModelSource) -> Sequence[str]:
        """See ExecutorKind."""
        config = source.config
        is_known = config.architecture in ARCHITECTURES and config.head_dim in HEAD_DIMENSIONS
        # A GGUF file's row order is defined for heads that are rotated whole.
        is_ordered = not source.permuted_qk or config.rope.rotary_dimensions in (None, config.head_dim)
        return formats.quantizations(source) if is_known and is_ordered and rope.is_supported(config) else ()

    def needs_conversion(self, source: ModelSource, quantization: str) -> bool:
        """See ExecutorKind: weights are packed from the model file at every load."""
        return False

    def convert(
        self, source: ModelSource, quantization: str, target: Path, progress: ConversionProgress
    ) -> None:
        """See ExecutorKind."""
        raise Unsupported("the native executor runs model files as they are; there is nothing to convert")

    def memory_estimate(
        self, source: ModelSource, quantization: str, options: ExecutorOptions
    ) -> MemoryEstimate:
        """See ExecutorKind."""
        return estimate.memory_estimate(source, quantization, options)

    def create(self, options: ExecutorOptions) -> Executor:
        """See ExecutorKind."""
        if options.device not in ("auto", "cpu"):
            raise Unsupported(f"the native executor runs on the CPU, not on {options.device!r}")
        return NativeExecutor(options)
