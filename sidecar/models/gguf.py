"""Bounded reader of GGUF files (versions 2 and 3, little-endian).

Knows the container alone: key-value pairs and where tensors lie, nothing of
what a key or a name means. A file is hostile until shown otherwise: every
count, length, type, offset and alignment is checked against the limits below
and against the file's size before it is used, so that a bad file costs one
InvalidModelFile and bounded memory.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import itertools
import mmap
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sidecar.errors import InvalidModelFile, Unsupported
from sidecar.models.config import DType
from sidecar.models.mapping import map_file
from sidecar.models.source import StoredTensor

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_HEADER_BYTES = 64 * 2**20
MAX_PAIRS = 4096
MAX_TENSORS = 65536
MAX_KEY_BYTES = 4096
MAX_STRING_BYTES = 4 * 2**20
MAX_ARRAY_ELEMENTS = 2**22
"""Over all arrays of a file together."""
MAX_ARRAY_DEPTH = 2
MAX_DIMENSIONS = 4
MAX_TENSOR_ELEMENTS = 2**44
MAX_ALIGNMENT = 65536
DEFAULT_ALIGNMENT = 32

TYPE_NAMES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K",
    11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS",
    19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32",
    27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
    41: "Q1_0",
}  # fmt: skip

_DTYPES = {dtype.value: dtype for dtype in DType}
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", _BOOL: "?", 10: "Q", 11: "q", 12: "d"}


@dataclass(frozen=True, slots=True)
class GGUFTensor:
    """Where a tensor lies: `shape` outermost first, `offset` from the file's beginning.

    `byte_count` is None for a quantization type that is not in DType.
    """

    name: str
    type_id: int
    shape: tuple[int, ...]
    offset: int
    byte_count: int | None

    @property
    def type_name(self) -> str:
        """The quantization type's name, or its number when nobody knows it."""
        return TYPE_NAMES.get(self.type_id, f"type {self.type_id}")


@dataclass(frozen=True, slots=True)
class GGUFFile:
    """A parsed header over a mapping that lives as long as any view of it."""

    path: Path
    version: int
    metadata: Mapping[str, object]
    tensors: Mapping[str, GGUFTensor]
    content: memoryview

    def stored_tensor(self, tensor: GGUFTensor, name: str) -> StoredTensor:
        """The tensor under another name, its data uncopied. Raises Unsupported for an unknown type."""
        dtype = _DTYPES.get(tensor.type_name)
        if dtype is None or tensor.byte_count is None:
            raise Unsupported(
                f"{self.path}: tensor {tensor.name!r} is quantized as {tensor.type_name}; "
                f"supported: {', '.join(_DTYPES)}"
            )
        data = self.content[tensor.offset : tensor.offset + tensor.byte_count]
        return StoredTensor(name, dtype, tensor.shape, data)


def read_gguf(path: Path) -> GGUFFile:
    """Map a GGUF file and parse its header; tensor data are not touched.

    Raises NotFound when there is no such file, InvalidModelFile when it is not
    a sound GGUF file.
    """
    mapping = map_file(path)
    header = _HeaderReader(path, mapping)
    version, metadata, tensors = header.read()
    return GGUFFile(path, version, metadata, tensors, memoryview(mapping))


class _HeaderReader:
    """One pass over a header. `position` never passes `limit`."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self.path = path
        self.content = content
        self.size = len(content)
        self.limit = min(self.size, MAX_HEADER_BYTES)
        self.position = 0
        self.elements_left = MAX_ARRAY_ELEMENTS

    def read(self) -> tuple[int, dict[str, object], dict[str, GGUFTensor]]:
        """Version, metadata, tensors."""
        if self.content[:4] != MAGIC:
            self.fail(f"is not a GGUF file: it begins with {bytes(self.content[:4])!r}, not {MAGIC!r}")
        self.position = 4
        version = self.u32("version")
        if version not in VERSIONS:
            if version.to_bytes(4, "big") in [known.to_bytes(4, "little") for known in VERSIONS]:
                self.fail("is a big-endian GGUF file; only little-endian ones can be read")
            self.fail(f"has GGUF version {version}; versions {VERSIONS} can be read")
        tensor_count = self.count("tensor count", MAX_TENSORS)
        pair_count = self.count("key-value count", MAX_PAIRS)
        metadata: dict[str, object] = {}
        for index in range(pair_count):
            key = self.string(f"key {index}", MAX_KEY_BYTES)
            if key in metadata:
                self.fail(f"has the key {key!r} twice")
            metadata[key] = self.value(self.u32(f"type of {key!r}"), key, 0)
        records = [self.tensor_record(index) for index in range(tensor_count)]
        return version, metadata, self.place(records, self.alignment(metadata))

    def fail(self, problem: str) -> NoReturn:
        """Refuse the file."""
        raise InvalidModelFile(self.path, problem)

    def take(self, count: int, what: str) -> int:
        """Move over `count` bytes and return where they begin."""
        begin = self.position
        if count > self.limit - begin:
            if self.limit < self.size:
                self.fail(f"header is longer than {MAX_HEADER_BYTES} bytes at {what}")
            self.fail(f"ends at byte {self.size}, inside {what} (byte {begin}, {count} bytes)")
        self.position = begin + count
        return begin

    def u32(self, what: str) -> int:
        """One unsigned 32-bit number."""
        number: int = _U32.unpack_from(self.content, self.take(4, what))[0]
        return number

    def u64(self, what: str) -> int:
        """One unsigned 64-bit number."""
        number: int = _U64.unpack_from(self.content, self.take(8, what))[0]
        return number

    def count(self, what: str, limit: int) -> int:
        """A 64-bit count that is within its limit."""
        number = self.u64(what)
        if number > limit:
            self.fail(f"{what} is {number}; at most {limit} is accepted")
        return number

    def string(self, what: str, limit: int = MAX_STRING_BYTES) -> str:
        """A length and that many bytes of UTF-8."""
        length = self.count(f"length of {what}", limit)
        begin = self.take(length, what)
        try:
            return self.content[begin : begin + length].decode()
        except UnicodeDecodeError:
            self.fail(f"{what} (byte {begin}) is not UTF-8")

    def value(self, type_id: int, key: str, depth: int) -> object:
        """One value of any type."""
        if type_id == _STRING:
            return self.string(f"value of {key!r}")
        if type_id == _ARRAY:
            return self.array(key, depth + 1)
        return self.numbers(type_id, 1, key)[0]

    def array(self, key: str, depth: int) -> tuple[object, ...]:
        """An element type, a count, the elements."""
        if depth > MAX_ARRAY_DEPTH:
            self.fail(f"{key!r} nests arrays deeper than {MAX_ARRAY_DEPTH}")
        type_id = self.u32(f"element type of {key!r}")
        count = self.count(f"length of {key!r}", self.elements_left)
        self.elements_left -= count
        if type_id == _STRING:
            return self.strings(count, key)
        if type_id == _ARRAY:
            return tuple(self.array(key, depth + 1) for _ in range(count))
        return self.numbers(type_id, count, key)

    def numbers(self, type_id: int, count: int, key: str) -> tuple[object, ...]:
        """`count` numbers or booleans."""
        code = _SCALARS.get(type_id)
        if code is None:
            self.fail(f"{key!r} has value type {type_id}; types 0 to 12 exist")
        layout = struct.Struct(f"<{count}{code}")
        begin = self.take(layout.size, f"value of {key!r}")
        if type_id == _BOOL and self.content[begin : begin + count].strip(b"\0\1"):
            self.fail(f"{key!r} has a boolean that is neither 0 nor 1")
        return layout.unpack_from(self.content, begin)

    def strings(self, count: int, key: str) -> tuple[str, ...]:
        """`count` strings, read without a call for each because vocabularies are long.

        The loop stops before the first bad one, and `string` then says what is wrong with it.
        """
        content, position, limit, unpack = self.content, self.position, self.limit, _U64.unpack_from
        texts: list[str] = []
        append = texts.append
        with suppress(UnicodeDecodeError):
            for _ in range(count):
                begin = position + 8
                if begin > limit:
                    break
                end = begin + unpack(content, position)[0]
                if end > limit:
                    break
                append(content[begin:end].decode())
                position = end
        self.position = position
        if len(texts) < count:
            self.string(f"element {len(texts)} of {key!r}")
        return tuple(texts)

    def tensor_record(self, index: int) -> tuple[str, int, tuple[int, ...], int]:
        """Name, type, shape and offset from the data section, each on its own in range."""
        name = self.string(f"name of tensor {index}", MAX_KEY_BYTES)
        rank = self.u32(f"number of dimensions of {name!r}")
        if not 1 <= rank <= MAX_DIMENSIONS:
            self.fail(f"tensor {name!r} has {rank} dimensions; 1 to {MAX_DIMENSIONS} are accepted")
        sizes = [self.u64(f"dimension {axis} of {name!r}") for axis in range(rank)]
        elements = 1
        for size in sizes:
            elements *= size
            if not 1 <= elements <= MAX_TENSOR_ELEMENTS:
                self.fail(f"tensor {name!r} has dimensions {sizes}; 1 to 2**44 elements are accepted")
        type_id = self.u32(f"type of {name!r}")
        return name, type_id, tuple(reversed(sizes)), self.u64(f"offset of {name!r}")

    def alignment(self, metadata: Mapping[str, object]) -> int:
        """A power of two."""
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if (
            not isinstance(alignment, int)
            or not 1 <= alignment <= MAX_ALIGNMENT
            or alignment & (alignment - 1)
        ):
            self.fail(
                f"'general.alignment' is {alignment!r}; it must be a power of two up to {MAX_ALIGNMENT}"
            )
        return alignment

    def place(
        self, records: list[tuple[str, int, tuple[int, ...], int]], alignment: int
    ) -> dict[str, GGUFTensor]:
        """Tensors with absolute offsets: aligned, inside the file, none over another."""
        data_begin = -(-self.position // alignment) * alignment
        tensors: dict[str, GGUFTensor] = {}
        for name, type_id, shape, relative in records:
            if name in tensors:
                self.fail(f"has the tensor {name!r} twice")
            if relative % alignment:
                self.fail(f"tensor {name!r} begins at {relative}, not a multiple of {alignment}")
            offset = data_begin + relative
            byte_count = self.byte_count(name, type_id, shape)
            if offset + (byte_count or 0) > self.size:
                self.fail(
                    f"tensor {name!r} lies at bytes {offset} to {offset + (byte_count or 0)}, "
                    f"but the file ends at {self.size}"
                )
            tensors[name] = GGUFTensor(name, type_id, shape, offset, byte_count)
        by_offset = sorted(tensors.values(), key=lambda tensor: tensor.offset)
        for first, second in itertools.pairwise(by_offset):
            if first.offset + (first.byte_count or 1) > second.offset:
                self.fail(f"tensors {first.name!r} and {second.name!r} overlap")
        return tensors

    def byte_count(self, name: str, type_id: int, shape: tuple[int, ...]) -> int | None:
        """Bytes of the data; None when the type is unknown."""
        dtype = _DTYPES.get(TYPE_NAMES.get(type_id, ""))
        if dtype is None:
            return None
        if shape[-1] % dtype.block_elements:
            self.fail(
                f"tensor {name!r} has rows of {shape[-1]} elements, "
                f"not a multiple of {dtype.value}'s blocks of {dtype.block_elements}"
            )
        elements = 1
        for size in shape:
            elements *= size
        return elements // dtype.block_elements * dtype.block_bytes
