"""What the torch executor can run, and as what."""

from collections.abc import Sequence
from pathlib import Path

from sidecar.errors import Unsupported
from sidecar.executors import rope
from sidecar.executors.base import ConversionProgress, Executor, ExecutorOptions, MemoryEstimate
from sidecar.executors.torch import convert, estimate, formats
from sidecar.executors.torch.devices import has_fast_bfloat16, has_fast_integer_matmul, resolve_device
from sidecar.executors.torch.executor import NAME, TorchExecutor
from sidecar.models.source import ModelSource

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")


class TorchExecutorKind:
    """See ExecutorKind."""

    @property
    def name(self) -> str:
        """See ExecutorKind."""
        return NAME

    @property
    def layout_version(self) -> int:
        """See ExecutorKind."""
        return convert.LAYOUT_VERSION

    def runs_on_accelerator(self) -> bool:
        """Whether this torch has a device here that is faster than a CPU."""
        return resolve_device("auto").type != "cpu"

    def quantizations(self, source: ModelSource) -> Sequence[str]:
        """See ExecutorKind. The order is that of speed where this computer's default device is fast at it."""
        config = source.config
        if config.architecture not in ARCHITECTURES or not rope.is_supported(config):
            return ()
        device = resolve_device("auto")
        if has_fast_integer_matmul(device):
            return ("int4", "int8", "bfloat16", "float32")
        if has_fast_bfloat16(device):
            return ("bfloat16", "int8", "int4", "float32")
        return ("float32", "int8", "int4", "bfloat16")

    def needs_conversion(self, source: ModelSource, quantization: str) -> bool:
        """See ExecutorKind."""
        return formats.needs_conversion(source, quantization)

    def convert(
        self, source: ModelSource, quantization: str, target: Path, progress: ConversionProgress
    ) -> None:
        """See ExecutorKind."""
        convert.convert(source, quantization, target, progress)

    def memory_estimate(
        self, source: ModelSource, quantization: str, options: ExecutorOptions
    ) -> MemoryEstimate:
        """See ExecutorKind."""
        return estimate.memory_estimate(source.config, quantization)

    def create(self, options: ExecutorOptions) -> Executor:
        """See ExecutorKind."""
        for name in ("kernel_path", "cache_type"):
            if getattr(options, name) != "auto":
                raise Unsupported(f"the torch executor has no choice of {name}; leave it at 'auto'")
        return TorchExecutor(options.device, options.threads)
