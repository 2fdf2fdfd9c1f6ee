"""Which weight format each matrix of a model gets under each quantization."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from sidecar.errors import Unsupported
from sidecar.executors.torch.linear.base import TableFormat, WeightFormat
from sidecar.executors.torch.linear.dense import DenseFormat
from sidecar.executors.torch.linear.int4 import Int4Format, is_exact
from sidecar.executors.torch.linear.int8 import Int8Format
from sidecar.executors.torch.weight_layout import Matrix, MatrixPart, model_layout
from sidecar.models.config import DType
from sidecar.models.source import ModelSource

_FLOAT32, _BFLOAT16 = DenseFormat(torch.float32), DenseFormat(torch.bfloat16)
_INT8, _INT4 = Int8Format(), Int4Format()
_TABLE_FORMATS: dict[str, TableFormat] = {
    "float32": _FLOAT32,
    "bfloat16": _BFLOAT16,
    "int8": _INT8,
    # Logits in bfloat16, which is what 4-bit products are, would have many equals among the largest.
    "int4": _INT8,
}
_FORMATS: dict[str, WeightFormat] = {**_TABLE_FORMATS, "int4": _INT4}
_STORED_AS = {"float32": DType.F32, "bfloat16": DType.BF16}


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring parts of a matrix that share a format; `name` prefixes its tensors in a converted file."""

    name: str
    format: WeightFormat
    parts: tuple[MatrixPart, ...]
    columns: int

    @property
    def rows(self) -> int:
        """Rows of all its parts."""
        return sum(part.rows for part in self.parts)


def needs_conversion(source: ModelSource, quantization: str) -> bool:
    """Whether the file's matrices cannot be multiplied as they lie there."""
    stored_as = _STORED_AS.get(quantization)
    names = (part.source for matrix in model_layout(source.config).matrices for part in matrix.parts)
    return source.permuted_qk or any(source.tensors[name].dtype is not stored_as for name in names)


def pieces(matrix: Matrix, source: ModelSource, quantization: str) -> Sequence[Piece]:
    """How a matrix is cut by format, from the top down. Raises Unsupported for an unknown quantization."""
    if quantization not in _FORMATS:
        raise Unsupported(f"there is no quantization {quantization!r} here; known: {', '.join(_FORMATS)}")

    def format_of(part: MatrixPart) -> WeightFormat:
        expected = usual_format(matrix, quantization)
        return _INT8 if expected is _INT4 and not is_exact(source.tensors[part.source]) else expected

    return [
        Piece(f"{matrix.name}.{index}", weight_format, tuple(parts), matrix.columns)
        for index, (weight_format, parts) in enumerate(groupby(matrix.parts, key=format_of))
    ]


def usual_format(matrix: Matrix, quantization: str) -> WeightFormat:
    """A matrix's format; under "int4" only for what the file has in 4 bits already, all else is int8."""
    return _TABLE_FORMATS[quantization] if matrix.is_table else _FORMATS[quantization]


def table_format(quantization: str) -> TableFormat:
    """The format of embedding and head."""
    return _TABLE_FORMATS[quantization]


def cache_dtype(quantization: str) -> torch.dtype:
    """Type of the numbers in the key-value cache."""
    return torch.float32 if quantization == "float32" else torch.bfloat16
