"""A converter process with an executor kind that copies, stalls or fails as its quantization says."""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from sidecar.errors import Unsupported
from sidecar.executors import registry
from sidecar.executors.base import ConversionProgress
from sidecar.executors.scripted import ScriptedExecutorKind
from sidecar.models.source import ModelSource


class CopyingKind(ScriptedExecutorKind):
    """Its run-ready form is a copy of every tensor, in one file each."""

    __slots__ = ()

    def quantizations(self, source: ModelSource) -> Sequence[str]:
        return ("copy", "stall", "crash", "refuse", "chatter")

    def needs_conversion(self, source: ModelSource, quantization: str) -> bool:
        return quantization != "none"

    def convert(
        self, source: ModelSource, quantization: str, target: Path, progress: ConversionProgress
    ) -> None:
        (target / "tensors").mkdir()
        for index, (name, tensor) in enumerate(source.tensors.items()):
            (target / "tensors" / name).write_bytes(tensor.data)
            progress(index / len(source.tensors), "copying")
            if quantization == "stall":
                threading.Event().wait()
            if quantization == "crash":
                sys.exit("the disk caught fire")
            if quantization == "refuse":
                raise Unsupported("this executor has no such quantization")
            if quantization == "chatter":
                print("a library says hello")
        progress(1.0, "copying")


def command() -> list[str]:
    """Starts a converter that knows this kind."""
    return [sys.executable, str(Path(__file__))]


def main() -> int:
    """The converter, with this kind in place of every other."""
    registry.executor_kind = lambda name: CopyingKind()
    from sidecar.library import converter

    return converter.run_converter()


if __name__ == "__main__":
    sys.exit(main())
