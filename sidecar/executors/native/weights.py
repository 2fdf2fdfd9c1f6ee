"""Packing a model file's tensors into the C++ model, one after another, straight from the mapping."""

import ctypes
from array import array
from collections.abc import Sequence

from sidecar.errors import ModelLoadFailed, OutOfMemory
from sidecar.executors.base import ConversionProgress
from sidecar.executors.native import slots
from sidecar.executors.native.buffers import address_of
from sidecar.executors.native.formats import NUMBERS, format_of, matrices
from sidecar.executors.native.library import Tensor, last_error, native_library
from sidecar.executors.native.slots import LayerSlot
from sidecar.executors.rope import inverse_frequencies
from sidecar.models.config import DType
from sidecar.models.mapping import release_pages
from sidecar.models.names import EMBEDDING, ROPE_FREQUENCIES
from sidecar.models.source import ModelSource, StoredTensor

OUT_OF_MEMORY = "out of memory"


def load_weights(handle: int, source: ModelSource, quantization: str, progress: ConversionProgress) -> None:
    """Fill the model behind `handle`. Raises OutOfMemory or ModelLoadFailed.

    Afterwards nothing but the embedding is read from the file again.
    """
    _Loader(handle, source).load(quantization, progress)


class _Loader:
    def __init__(self, handle: int, source: ModelSource) -> None:
        self._handle = handle
        self._source = source
        self._library = native_library()

    def load(self, quantization: str, progress: ConversionProgress) -> None:
        tensors = list(matrices(self._source))
        total = sum(tensor.data.nbytes for _, tensor in tensors)
        done = 0
        for slot, tensor in tensors:
            self._set_matrix(slot, tensor, NUMBERS[format_of(slot, tensor, quantization)])
            release_pages(tensor.data)
            done += tensor.data.nbytes
            progress(done / total, "loading weights")
        embedding = self._source.tensors[EMBEDDING]
        self._set_matrix(LayerSlot(0, slots.EMBEDDING_SLOT), embedding, NUMBERS[embedding.dtype])
        self._set_vectors()

    def _set_vectors(self) -> None:
        config, tensors = self._source.config, self._source.tensors
        self._set_vector(slots.FINAL_NORM, tensors["model.norm.weight"])
        divisors = tensors.get(ROPE_FREQUENCIES)
        frequencies = inverse_frequencies(config, None if divisors is None else _floats(divisors))
        if frequencies:
            data = memoryview(array("f", frequencies)).cast("B")
            self._set_vector(
                LayerSlot(0, slots.FREQUENCIES_SLOT),
                StoredTensor("frequencies", DType.F32, (len(frequencies),), data),
            )
        for layer in range(config.num_layers):
            prefix = f"model.layers.{layer}."
            for name, slot in slots.NORMS.items():
                if tensor := tensors.get(f"{prefix}{name}.weight"):
                    self._set_vector(LayerSlot(layer, slot), tensor)
            for name, slot in slots.BIASES.items():
                if tensor := tensors.get(f"{prefix}{name}.bias"):
                    self._set_vector(LayerSlot(layer, slot), tensor, self._permuted_heads(name))

    def _set_matrix(self, slot: LayerSlot, tensor: StoredTensor, number: int) -> None:
        name = next((name for name, place in slots.MATRICES.items() if place == slot.slot), "")
        described = self._describe(tensor, self._permuted_heads(name))
        failed = self._library.native_set_matrix(
            self._handle, slot.layer, slot.slot, ctypes.byref(described), number
        )
        self._check(failed, tensor)

    def _set_vector(self, slot: LayerSlot, tensor: StoredTensor, permuted_heads: int = 0) -> None:
        described = self._describe(tensor, permuted_heads)
        failed = self._library.native_set_vector(self._handle, slot.layer, slot.slot, ctypes.byref(described))
        self._check(failed, tensor)

    def _describe(self, tensor: StoredTensor, permuted_heads: int) -> Tensor:
        rows, columns = tensor.shape if len(tensor.shape) == 2 else (1, tensor.shape[0])
        return Tensor(
            NUMBERS[tensor.dtype], permuted_heads, rows, columns, address_of(tensor.data), tensor.data.nbytes
        )

    def _permuted_heads(self, name: str) -> int:
        if not self._source.permuted_qk or name not in slots.PERMUTED:
            return 0
        config = self._source.config
        return config.num_attention_heads if name == slots.PERMUTED[0] else config.num_key_value_heads

    def _check(self, failed: int, tensor: StoredTensor) -> None:
        if failed:
            reason = last_error()
            error = OutOfMemory if reason == OUT_OF_MEMORY else ModelLoadFailed
            raise error(f"{self._source.path}: tensor {tensor.name!r} cannot be loaded: {reason}")


def _floats(tensor: StoredTensor) -> Sequence[float]:
    return memoryview(tensor.data).cast("B").cast("f").tolist()
