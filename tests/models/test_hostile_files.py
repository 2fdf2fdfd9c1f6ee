"""Model files that are truncated, corrupt or made to hurt: a model or a typed error, in bounded memory."""

import json
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.errors import InvalidModelFile, NotFound, SidecarError, Unsupported
from sidecar.models.gguf import read_gguf
from sidecar.models.open import open_model
from sidecar.models.safetensors import read_safetensors
from sidecar.models.source import ModelSource
from tests.support.folder_writer import write_tiny_llama_folder
from tests.support.gguf_writer import write_tiny_llama

MEMORY_LIMIT = 32 * 2**20
NUMBERS = (0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


@pytest.fixture(scope="module")
def gguf_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return write_tiny_llama(path, layers=1, hidden=32, vocab=260, intermediate=32).read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


def outcome(path: Path) -> ModelSource | SidecarError:
    """What opening gives; any other exception fails the test, and so does a lot of memory."""
    tracemalloc.start()
    try:
        return open_model(path)
    except (InvalidModelFile, Unsupported) as error:
        return error
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY_LIMIT


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_mutated_gguf(gguf_bytes: bytes, scratch: Path, data: st.DataObject) -> None:
    content = bytearray(gguf_bytes)
    header_end = gguf_bytes.index(b"output_norm.weight") + 100
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, header_end))
        if data.draw(st.booleans()):
            content[place] = data.draw(st.integers(0, 255))
        else:
            content[place : place + 8] = struct.pack("<Q", data.draw(st.sampled_from(NUMBERS)))
    (scratch / "mutated.gguf").write_bytes(content)
    assert isinstance(outcome(scratch / "mutated.gguf"), ModelSource | SidecarError)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_truncated_gguf(gguf_bytes: bytes, scratch: Path, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(gguf_bytes) - 33))
    (scratch / "short.gguf").write_bytes(gguf_bytes[:length])
    assert isinstance(outcome(scratch / "short.gguf"), InvalidModelFile)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_mutated_safetensors(scratch: Path, data: st.DataObject) -> None:
    folder = scratch / "folder"
    if not folder.exists():
        write_tiny_llama_folder(folder, layers=1, hidden=16, heads=2, kv_heads=1, intermediate=16, vocab=260)
        (folder / "model.safetensors").rename(folder / "original")
    original = (folder / "original").read_bytes()
    header_end = 8 + int.from_bytes(original[:8], "little")
    content = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, header_end - 1))
        content[place] = data.draw(st.sampled_from(b'{}[]":,0123456789eE-.\\\0\xff') | st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    (folder / "model.safetensors").write_bytes(content or b"x")
    assert isinstance(outcome(folder), ModelSource | SidecarError)


def header(*, version: int = 3, tensors: int = 0, pairs: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs) + rest


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def tensor(name: bytes, sizes: tuple[int, ...], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PK\3\4" + bytes(40), r"not a GGUF file"),
        (header(version=1), r"version 1"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(16), r"big-endian"),
        (header(tensors=2**63), r"tensor count is 9223372036854775808; at most"),
        (header(pairs=2**40), r"key-value count is"),
        (header(pairs=1), r"ends at byte 24, inside length of key 0"),
        (header(pairs=1, rest=struct.pack("<Q", 2**62)), r"length of key 0 is"),
        (header(pairs=1, rest=text(b"\xff")), r"key 0 \(byte 32\) is not UTF-8"),
        (header(pairs=1, rest=text(b"k") + struct.pack("<I", 99)), r"'k' has value type 99"),
        (header(pairs=1, rest=text(b"k") + struct.pack("<IB", 7, 2)), r"neither 0 nor 1"),
        (
            header(pairs=2, rest=(text(b"k") + struct.pack("<IB", 0, 2)) * 2),
            r"has the key 'k' twice",
        ),
        (
            header(pairs=1, rest=text(b"k") + struct.pack("<IIQ", 9, 4, 2**40)),
            r"length of 'k' is 1099511627776",
        ),
        (
            header(pairs=1, rest=text(b"k") + struct.pack("<IIQIQIQ", 9, 9, 1, 9, 1, 9, 1)),
            r"nests arrays deeper",
        ),
        (
            header(pairs=1, rest=text(b"k") + struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"\xff")),
            r"element 1 of 'k' \(byte \d+\) is not UTF-8",
        ),
        (
            header(pairs=1, rest=text(b"k") + struct.pack("<IIQQ", 9, 8, 1, 2**63)),
            r"length of element 0 of 'k' is 9223372036854775808",
        ),
        (
            header(pairs=1, rest=text(b"general.alignment") + struct.pack("<II", 4, 24)),
            r"must be a power of two",
        ),
        (header(tensors=1, rest=text(b"t") + struct.pack("<I", 9)), r"9 dimensions"),
        (header(tensors=1, rest=tensor(b"t", (0,), 0, 0)), r"'t' has dimensions \[0\]"),
        (header(tensors=1, rest=tensor(b"t", (2**63, 4), 0, 0)), r"'t' has dimensions"),
        (header(tensors=1, rest=tensor(b"t", (33,), 8, 0)), r"rows of 33 elements, not a multiple of Q8_0"),
        (header(tensors=1, rest=tensor(b"t", (32,), 0, 1)), r"not a multiple of 32"),
        (header(tensors=1, rest=tensor(b"t", (32,), 0, 2**63)), r"but the file ends at"),
        (header(tensors=1, rest=tensor(b"t", (32,), 99, 2**63)), r"but the file ends at"),
        (header(tensors=1, rest=tensor(b"t", (2**40,), 0, 0)), r"but the file ends at"),
        (
            header(tensors=2, rest=tensor(b"t", (4,), 0, 0) * 2 + bytes(64)),
            r"has the tensor 't' twice",
        ),
        (
            header(tensors=2, rest=tensor(b"t", (16,), 0, 0) + tensor(b"u", (4,), 0, 32) + bytes(128)),
            r"'t' and 'u' overlap",
        ),
    ],
)
def test_each_lie_of_a_gguf_header_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "bad.gguf").write_bytes(content)
    with pytest.raises(InvalidModelFile, match=problem):
        read_gguf(tmp_path / "bad.gguf")


def safetensors(document: object, data: bytes = b"") -> bytes:
    encoded = document if isinstance(document, bytes) else json.dumps(document).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


def entry(begin: int, end: int, shape: tuple[int, ...] = (2,), dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"1234567", r"7 bytes long"),
        (struct.pack("<Q", 2**63) + b"{}", r"header of 9223372036854775808 bytes"),
        (struct.pack("<Q", 100) + b"{}", r"inside its header"),
        (safetensors(b"{"), r"not sound JSON"),
        (safetensors(b"[" * 100_000), r"not sound JSON"),
        (safetensors(b'{"a": ' + b"9" * 5000 + b"}"), r"not sound JSON"),
        (safetensors([1]), r"must be a JSON object, not list"),
        (safetensors(b'{"a": 1, "a": 2}'), r"a key stands twice"),
        (safetensors({"a": 1}), r"'a' must be described by an object"),
        (safetensors({"a": entry(0, 8)}), r"'a' lies at \(0, 8\); the file has 0 bytes"),
        (safetensors({"a": entry(8, 0)}, bytes(8)), r"'a' lies at \(8, 0\)"),
        (safetensors({"a": entry(-8, 0)}, bytes(8)), r"'a' lies at \(-8, 0\)"),
        (safetensors({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)), r"'b' begins at 4; .* ends at 8"),
        (safetensors({"a": entry(0, 8), "b": entry(12, 20)}, bytes(20)), r"'b' begins at 12"),
        (safetensors({"a": entry(0, 8)}, bytes(9)), r"has 9 bytes of data; its tensors end at 8"),
        (safetensors({"a": entry(0, 8, (3,))}, bytes(8)), r"does not take 8 bytes"),
        (safetensors({"a": entry(0, 8, (2**62,))}, bytes(8)), r"has the shape"),
    ],
)
def test_each_lie_of_a_safetensors_header_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(InvalidModelFile, match=problem):
        read_safetensors(tmp_path / "bad.safetensors")


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_safetensors(tmp_path / "model.safetensors")
