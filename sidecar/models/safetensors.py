"""Bounded reader of safetensors files, single or in shards.

Knows the container alone. Header length, JSON, dtypes, shapes and offsets are
checked before they are used: tensors must follow each other without holes or
overlap and fill the file exactly.

Format: https://github.com/huggingface/safetensors#format
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.errors import InvalidModelFile, Unsupported
from sidecar.models.config import DType
from sidecar.models.fields import Fields
from sidecar.models.json_file import parse_object, read_object
from sidecar.models.mapping import map_file
from sidecar.models.source import StoredTensor

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
MAX_HEADER_BYTES = 16 * 2**20
MAX_TENSORS = 65536
MAX_SHARDS = 1024
MAX_DIMENSIONS = 8
MAX_TENSOR_ELEMENTS = 2**44

_DTYPES = {"F32": DType.F32, "F16": DType.F16, "BF16": DType.BF16, "I8": DType.I8}
_ELEMENT_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4,
    "U16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
}  # fmt: skip
_SHARD_NAME = re.compile(r"[\w.-]+\.safetensors")


@dataclass(frozen=True, slots=True)
class SafetensorsTensor:
    """Where a tensor lies in its file: `data` is a view of the mapping, as long as `shape` says."""

    path: Path
    name: str
    type_name: str
    shape: tuple[int, ...]
    data: memoryview

    def stored_tensor(self) -> StoredTensor:
        """The tensor, its data uncopied. Raises Unsupported for a type that no model here uses."""
        dtype = _DTYPES.get(self.type_name)
        if dtype is None:
            raise Unsupported(
                f"{self.path}: tensor {self.name!r} is stored as {self.type_name}; "
                f"supported: {', '.join(_DTYPES)}"
            )
        return StoredTensor(self.name, dtype, self.shape, self.data)


def read_safetensors(path: Path) -> dict[str, SafetensorsTensor]:
    """Map one file and parse its header. Raises NotFound, InvalidModelFile or ModelLoadFailed."""
    content = memoryview(map_file(path))
    if len(content) < 8:
        raise InvalidModelFile(path, f"is {len(content)} bytes long; a safetensors file has 8 at least")
    header_bytes = int.from_bytes(content[:8], "little")
    if header_bytes > MAX_HEADER_BYTES:
        raise InvalidModelFile(
            path, f"has a header of {header_bytes} bytes; at most {MAX_HEADER_BYTES} are accepted"
        )
    if 8 + header_bytes > len(content):
        raise InvalidModelFile(
            path, f"ends at byte {len(content)}, inside its header of {header_bytes} bytes"
        )
    header = parse_object(path, bytes(content[8 : 8 + header_bytes]), "the header")
    header.pop("__metadata__", None)
    if len(header) > MAX_TENSORS:
        raise InvalidModelFile(path, f"has {len(header)} tensors; at most {MAX_TENSORS} are accepted")
    return _place(path, header, content[8 + header_bytes :])


def read_model_weights(folder: Path) -> dict[str, SafetensorsTensor]:
    """All tensors of a model folder: of model.safetensors, or of the shards that the index names."""
    if not (folder / INDEX_FILE).is_file():
        return read_safetensors(folder / SINGLE_FILE)
    index = folder / INDEX_FILE
    weight_map = Fields(index, read_object(index)).part("weight_map").values
    if not weight_map:
        raise InvalidModelFile(index, "has no weight_map")
    shard_names = sorted({_shard_name(index, name) for name in weight_map.values()})
    if len(shard_names) > MAX_SHARDS or len(weight_map) > MAX_TENSORS:
        raise InvalidModelFile(
            index, f"names {len(shard_names)} files and {len(weight_map)} tensors; that is too many"
        )
    shards = {name: read_safetensors(folder / name) for name in shard_names}
    tensors = {}
    for name, shard_name in weight_map.items():
        tensor = shards[str(shard_name)].get(name)
        if tensor is None:
            raise InvalidModelFile(index, f"places tensor {name!r} in {shard_name}, which does not have it")
        tensors[name] = tensor
    return tensors


def _shard_name(index: Path, name: object) -> str:
    """A plain file name: an index never leads out of its folder."""
    if not isinstance(name, str) or not _SHARD_NAME.fullmatch(name) or name.startswith("."):
        raise InvalidModelFile(index, f"names the file {name!r}; it must be a plain name in the same folder")
    return name


def _place(path: Path, header: Mapping[str, object], data: memoryview) -> dict[str, SafetensorsTensor]:
    spans = []
    for name, entry in header.items():
        if not isinstance(entry, dict):
            raise InvalidModelFile(path, f"tensor {name!r} must be described by an object")
        fields = Fields(path, entry)
        shape, offsets = fields.integers("shape"), fields.integers("data_offsets")
        if len(shape) > MAX_DIMENSIONS or any(not 0 <= size <= MAX_TENSOR_ELEMENTS for size in shape):
            raise InvalidModelFile(path, f"tensor {name!r} has the shape {str(shape)[:80]}")
        if len(offsets) != 2 or not 0 <= offsets[0] <= offsets[1] <= len(data):
            raise InvalidModelFile(
                path, f"tensor {name!r} lies at {str(offsets)[:80]}; the file has {len(data)} bytes of data"
            )
        spans.append((offsets[0], offsets[1], name, fields.string("dtype"), shape))
    spans.sort()
    tensors = {}
    end = 0
    for begin, next_end, name, type_name, shape in spans:
        if begin != end:
            raise InvalidModelFile(path, f"tensor {name!r} begins at {begin}; the one before ends at {end}")
        end = next_end
        size = _ELEMENT_BYTES.get(type_name)
        if size is not None and math.prod(shape) * size != end - begin:
            raise InvalidModelFile(
                path, f"tensor {name!r} of shape {shape} in {type_name} does not take {end - begin} bytes"
            )
        tensors[name] = SafetensorsTensor(path, name, type_name, shape, data[begin:end])
    if end != len(data):
        raise InvalidModelFile(path, f"has {len(data)} bytes of data; its tensors end at {end}")
    return tensors
