"""Which tile format each matrix gets: as the file has it, or another that was asked for."""

from collections import Counter
from collections.abc import Iterator, Sequence

from sidecar.executors.native.slots import HEAD, MATRICES, LayerSlot
from sidecar.models.config import DType
from sidecar.models.names import EMBEDDING
from sidecar.models.names import HEAD as HEAD_NAME
from sidecar.models.source import ModelSource, StoredTensor

NUMBERS = {
    DType.F32: 0,
    DType.F16: 1,
    DType.BF16: 2,
    DType.Q4_0: 3,
    DType.Q4_1: 4,
    DType.Q5_0: 5,
    DType.Q5_1: 6,
    DType.Q8_0: 7,
    DType.Q4_K: 8,
    DType.Q5_K: 9,
    DType.Q6_K: 10,
}
"""`Stored` and `Format` of tiles.h, which share their numbers."""
CACHE_TYPES = {"float32": 0, "float16": 1, "int8": 2, "bfloat16": 3}
"""`CacheType` of kernels.h."""
_MADE = {
    "int8": DType.Q8_0,
    "int4": DType.Q4_1,
    "bfloat16": DType.BF16,
    "float16": DType.F16,
    "float32": DType.F32,
}


def quantizations(source: ModelSource) -> Sequence[str]:
    """What a model can run as, the one that `auto` means first; empty when its tensors are not known.

    A quantized file runs as it is, under the name of the type that most of its
    weights have. A file of plain floats runs as int8: weights in groups of 32
    keep the text's quality and take half or a quarter of the memory.
    """
    tensors = [tensor for _, tensor in matrices(source)]
    if any(tensor.dtype not in NUMBERS for tensor in (*tensors, source.tensors[EMBEDDING])):
        return ()
    main = _main_type(source)
    return (main.value.lower(), *_MADE) if main.is_quantized else tuple(_MADE)


def format_of(slot: LayerSlot, tensor: StoredTensor, quantization: str) -> DType:
    """The format of a matrix; a quantization that nothing is made for means: as the file has it.

    Under "int4" the head is int8: 4 bits there cost more quality than in all layers.
    """
    if quantization == "int4" and slot == HEAD:
        return DType.Q8_0
    return _MADE.get(quantization, tensor.dtype)


def matrices(source: ModelSource) -> Iterator[tuple[LayerSlot, StoredTensor]]:
    """Every matrix that is multiplied, the head (which may be the embedding) first."""
    yield HEAD, source.tensors.get(HEAD_NAME, source.tensors[EMBEDDING])
    for layer in range(source.config.num_layers):
        for name, slot in MATRICES.items():
            yield LayerSlot(layer, slot), source.tensors[f"model.layers.{layer}.{name}.weight"]


def _main_type(source: ModelSource) -> DType:
    """The type that most weights of the layers have."""
    weights: Counter[DType] = Counter()
    for slot, tensor in matrices(source):
        if slot != HEAD:
            weights[tensor.dtype] += tensor.shape[0] * tensor.shape[1]
    return weights.most_common(1)[0][0]
