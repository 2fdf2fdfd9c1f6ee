"""From a model file to the run-ready form: one safetensors file of matrices, filled tensor by tensor.

Norms and biases are small and are read from the model file itself at every load.
"""

from pathlib import Path

from sidecar.errors import Unsupported
from sidecar.executors.base import ConversionProgress
from sidecar.executors.torch.formats import pieces
from sidecar.executors.torch.tensor_file import create_tensor_file
from sidecar.executors.torch.weight_layout import model_layout
from sidecar.models.mapping import release_pages
from sidecar.models.source import ModelSource

WEIGHTS_FILE = "weights.safetensors"
LAYOUT_VERSION = 2
"""Raised with every change of what `convert` writes."""


def convert(source: ModelSource, quantization: str, target: Path, progress: ConversionProgress) -> None:
    """Fill the folder `target`. Raises Unsupported, or ModelLoadFailed when the disk is full."""
    check_rotary(source)
    todo = [
        piece
        for matrix in model_layout(source.config).matrices
        for piece in pieces(matrix, source, quantization)
    ]
    specs = {
        f"{piece.name}.{suffix}": spec
        for piece in todo
        for suffix, spec in piece.format.tensors(piece.rows, piece.columns).items()
    }
    total = sum(piece.rows * piece.columns for piece in todo)
    done = 0
    with create_tensor_file(target / WEIGHTS_FILE, specs) as file:
        for piece in todo:
            suffixes = piece.format.tensors(piece.rows, piece.columns)
            tensors = {suffix: file.tensors[f"{piece.name}.{suffix}"] for suffix in suffixes}
            row = 0
            for part in piece.parts:
                rotary_heads = part.rotary_heads if source.permuted_qk else 0
                stored = source.tensors[part.source]
                piece.format.fill(tensors, row, stored, rotary_heads)
                release_pages(stored.data)
                row += part.rows
                done += part.rows * piece.columns
                progress(done / total, "converting weights")
            file.release()


def check_rotary(source: ModelSource) -> None:
    """Raise Unsupported for a GGUF file that rotates a part of each head: its row order is not defined."""
    rope, head_dim = source.config.rope, source.config.head_dim
    if source.permuted_qk and rope.rotary_dimensions not in (None, head_dim):
        raise Unsupported(
            f"{source.path}: rotates {rope.rotary_dimensions} of {head_dim} numbers of a head; "
            "a GGUF file must rotate all of them"
        )
