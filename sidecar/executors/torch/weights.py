"""A model's weights, ready to run: matrices from a converted file if there is one, vectors as they are."""

import torch
from torch import Tensor

from sidecar.errors import InvalidModelFile, ModelLoadFailed, NotFound
from sidecar.executors.base import ConvertedModel
from sidecar.executors.torch.convert import WEIGHTS_FILE, check_rotary
from sidecar.executors.torch.dequantize import dequantize
from sidecar.executors.torch.formats import Piece, needs_conversion, pieces, table_format
from sidecar.executors.torch.linear.base import Linear, StackedLinear, Table, Workspace, rotary_order
from sidecar.executors.torch.views import stored_view
from sidecar.executors.torch.weight_layout import Matrix, MatrixPart
from sidecar.models.safetensors import SafetensorsTensor, read_safetensors


class ModelWeights:
    """Hands out a model's weights on `device`; on a CPU matrices stay views of their mapped file."""

    def __init__(self, model: ConvertedModel, device: torch.device) -> None:
        """Raises ModelLoadFailed when the model should have been converted and was not."""
        self._source = model.source
        self._quantization = model.quantization
        self._device = device
        self._workspace = Workspace(device)
        self._file: dict[str, SafetensorsTensor] | None = None
        check_rotary(model.source)
        if model.folder is not None:
            self._path = model.folder / WEIGHTS_FILE
            try:
                self._file = read_safetensors(self._path)
            except NotFound as error:
                raise ModelLoadFailed(f"{self._path}: the converted weights are not there") from error
        elif needs_conversion(model.source, model.quantization):
            raise ModelLoadFailed(
                f"{model.source.path}: must be converted before it runs as {model.quantization}"
            )

    def matrix(self, matrix: Matrix) -> Linear:
        """A matrix of the layout. Raises InvalidModelFile when the converted file does not hold it."""
        bias = self._bias(matrix) if matrix.has_bias else None
        row = 0
        loaded = []
        for piece in self._pieces(matrix):
            part_bias = None if bias is None else bias[row : row + piece.rows]
            loaded.append(piece.format.load(self._tensors(piece), part_bias, self._workspace))
            row += piece.rows
        return loaded[0] if len(loaded) == 1 else StackedLinear(loaded)

    def table(self, matrix: Matrix) -> Table:
        """The embedding or the head. Raises as `matrix` does."""
        [piece] = self._pieces(matrix)
        return table_format(self._quantization).load(self._tensors(piece), None, self._workspace)

    def vector(self, name: str) -> Tensor:
        """A norm or another small tensor of the model file, float32."""
        return dequantize(self._source.tensors[name]).clone().to(self._device)

    def optional_vector(self, name: str) -> Tensor | None:
        """The same; None when the file has no tensor of that name."""
        return self.vector(name) if name in self._source.tensors else None

    def _pieces(self, matrix: Matrix) -> list[Piece]:
        found = pieces(matrix, self._source, self._quantization)
        if self._file is not None:
            return list(found)
        return [
            Piece(piece.name, piece.format, (part,), piece.columns) for piece in found for part in piece.parts
        ]

    def _tensors(self, piece: Piece) -> dict[str, Tensor]:
        if self._file is None:
            return {"weight": stored_view(self._source.tensors[piece.parts[0].source])}
        tensors = {}
        for suffix, spec in piece.format.tensors(piece.rows, piece.columns).items():
            found = self._file.get(f"{piece.name}.{suffix}")
            stored = found.stored_tensor() if found else None
            view = stored_view(stored) if stored else None
            if view is None or view.dtype != spec.dtype or view.shape != spec.shape:
                raise InvalidModelFile(
                    self._path, f"has no tensor {piece.name}.{suffix} of {spec.dtype} {list(spec.shape)}"
                )
            tensors[suffix] = view
        return tensors

    def _bias(self, matrix: Matrix) -> Tensor:
        return torch.cat([self._part_bias(part) for part in matrix.parts]).to(self._device)

    def _part_bias(self, part: MatrixPart) -> Tensor:
        bias = dequantize(self._source.tensors[part.source.removesuffix("weight") + "bias"])
        if part.rotary_heads and self._source.permuted_qk:
            return bias[rotary_order(part.rows, part.rotary_heads)]
        return bias
