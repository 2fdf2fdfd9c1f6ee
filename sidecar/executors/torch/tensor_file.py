"""Writing a safetensors file whose tensors are filled in place, in any order.

The file gets its full size first, so that a full disk is an error here and not
a crash later; its tensors are then views of a shared mapping, and the system
writes them out as it likes. Nothing but the caller's chunk is in memory.
"""

import json
import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sidecar.errors import ModelLoadFailed
from sidecar.executors.torch.linear.base import TensorSpec
from sidecar.executors.torch.views import tensor_view
from sidecar.models.mapping import release_pages

ALIGNMENT = 64
_TYPE_NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.int8: "I8"}
_ZEROS = bytes(2**20)


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A file being filled: `tensors` are views of its mapping, `memory`."""

    tensors: Mapping[str, Tensor]
    memory: memoryview

    def release(self) -> None:
        """Hand what is written so far to the system, out of this process's memory."""
        release_pages(self.memory)


@contextmanager
def create_tensor_file(path: Path, specs: Mapping[str, TensorSpec]) -> Iterator[TensorFile]:
    """Make a file of these tensors to be written to; on leaving, all is handed to the system.

    Raises ModelLoadFailed when the disk has no room.
    """
    # Wide types first: every tensor then begins at a multiple of its element's size.
    ordered = dict(sorted(specs.items(), key=lambda item: -item[1].dtype.itemsize))
    header, offsets = _header(ordered)
    size = len(header) + sum(spec.byte_count for spec in ordered.values())
    with path.open("w+b") as file:
        try:
            _reserve(file.fileno(), size)
        except OSError as error:
            raise ModelLoadFailed(
                f"{path}: cannot write {size} bytes of converted weights: {error.strerror}"
            ) from error
        mapping = mmap.mmap(file.fileno(), size)
        mapping[: len(header)] = header
        view = memoryview(mapping)
        tensors = {
            name: tensor_view(view[len(header) + offsets[name] :][: spec.byte_count], spec.dtype, spec.shape)
            for name, spec in ordered.items()
        }
        yield TensorFile(tensors, view)
        mapping.flush()


def _header(specs: Mapping[str, TensorSpec]) -> tuple[bytes, dict[str, int]]:
    """Length and JSON of a safetensors header, padded with blanks, and where each tensor begins behind it."""
    entries: dict[str, object] = {}
    offsets: dict[str, int] = {}
    end = 0
    for name, spec in specs.items():
        begin, end = end, end + spec.byte_count
        offsets[name] = begin
        entries[name] = {
            "dtype": _TYPE_NAMES[spec.dtype],
            "shape": list(spec.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text, offsets


def _reserve(descriptor: int, size: int) -> None:
    """Give a file its size and its room on the disk. Raises OSError."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    for begin in range(0, size, len(_ZEROS)):
        os.write(descriptor, _ZEROS[: min(len(_ZEROS), size - begin)])
