"""The C++ library and its C interface, as `src/abi.h` declares it."""

import ctypes
import functools
import sys
from ctypes import POINTER, Structure, c_char_p, c_double, c_float, c_int32, c_int64, c_uint64, c_void_p
from pathlib import Path

from sidecar.errors import Unsupported

ABI_VERSION = 1
_SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}
LIBRARY = Path(__file__).with_name(f"_native{_SUFFIXES.get(sys.platform, '.so')}")

PAIR_PATHS = frozenset({"avx512-bf16"})
"""Kernel paths with an instruction for products of bfloat16 pairs."""


class Config(Structure):
    """native_config."""

    _fields_ = (
        ("vocabulary", c_int32),
        ("hidden", c_int32),
        ("intermediate", c_int32),
        ("layers", c_int32),
        ("heads", c_int32),
        ("key_heads", c_int32),
        ("head_size", c_int32),
        ("rotary", c_int32),
        ("window", c_int32),
        ("threads", c_int32),
        ("epsilon", c_float),
    )


class Tensor(Structure):
    """native_tensor."""

    _fields_ = (
        ("stored", c_int32),
        ("permuted_heads", c_int32),
        ("rows", c_int64),
        ("columns", c_int64),
        ("data", c_void_p),
        ("bytes", c_int64),
    )


class Sampling(Structure):
    """native_sampling."""

    _fields_ = (
        ("seed", c_uint64),
        ("temperature", c_double),
        ("top_p", c_double),
        ("min_p", c_double),
        ("typical_p", c_double),
        ("repetition_penalty", c_double),
        ("frequency_penalty", c_double),
        ("presence_penalty", c_double),
        ("choice", c_int32),
        ("top_k", c_int32),
        ("logprobs", c_int32),
        ("top_logprobs", c_int32),
    )


class Row(Structure):
    """native_row."""

    _fields_ = (
        ("sampling", Sampling),
        ("cancel", c_void_p),
        ("first_token", c_int32),
        ("tokens", c_int32),
        ("start", c_int32),
        ("first_block", c_int32),
        ("blocks", c_int32),
        ("samples", c_int32),
        ("first_penalty", c_int32),
        ("penalties", c_int32),
        ("first_bias", c_int32),
        ("biases", c_int32),
        ("first_forbidden", c_int32),
        ("forbidden", c_int32),
        ("first_mask", c_int32),
        ("masks", c_int32),
    )


class Penalty(Structure):
    """native_penalty."""

    _fields_ = (("token", c_int32), ("times", c_int32))


class Bias(Structure):
    """native_bias."""

    _fields_ = (("token", c_int32), ("value", c_float))


class Batch(Structure):
    """native_batch."""

    _fields_ = (
        ("rows", c_void_p),
        ("tokens", c_void_p),
        ("blocks", c_void_p),
        ("penalties", c_void_p),
        ("biases", c_void_p),
        ("forbidden", c_void_p),
        ("masks", c_void_p),
        ("row_count", c_int32),
        ("token_count", c_int32),
        ("block_count", c_int32),
        ("penalty_count", c_int32),
        ("bias_count", c_int32),
        ("forbidden_count", c_int32),
        ("mask_count", c_int32),
        ("top_logprobs", c_int32),
    )


class Sample(Structure):
    """native_sample."""

    _fields_ = (("status", c_int32), ("token", c_int32), ("logprob", c_float), ("top_count", c_int32))


_FUNCTIONS = {
    "native_abi_version": (c_int32, ()),
    "native_error": (c_char_p, ()),
    "native_path": (c_char_p, (c_int32, POINTER(c_int32))),
    "native_create": (c_void_p, (POINTER(Config), c_char_p)),
    "native_destroy": (None, (c_void_p,)),
    "native_matrix_bytes": (c_int64, (c_int32, c_int64, c_int64)),
    "native_set_matrix": (c_int32, (c_void_p, c_int32, c_int32, POINTER(Tensor), c_int32)),
    "native_set_vector": (c_int32, (c_void_p, c_int32, c_int32, POINTER(Tensor))),
    "native_block_bytes": (c_int64, (POINTER(Config), c_int32)),
    "native_allocate_cache": (c_int32, (c_void_p, c_int32, c_int32)),
    "native_copy_blocks": (c_int32, (c_void_p, c_void_p, c_int32)),
    "native_export_blocks": (c_int32, (c_void_p, c_void_p, c_int32, c_void_p, c_int64)),
    "native_import_blocks": (c_int32, (c_void_p, c_void_p, c_int32, c_void_p, c_int64)),
    "native_execute": (c_int32, (c_void_p, POINTER(Batch), c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)),
    "native_take_times": (c_int32, (c_void_p, POINTER(c_double), c_int32)),
    "native_test_bandwidth": (c_double, (c_int64, c_int32)),
    "native_test_multiplications": (c_double, (c_char_p, c_int32, c_int32, c_int32)),
    "native_test_product": (c_int32, (c_char_p, POINTER(Tensor), c_int32, c_void_p, c_int32, c_void_p)),
    "native_test_sample": (
        c_int32, (c_char_p, c_void_p, c_int32, POINTER(Batch), c_int32, c_int32, c_void_p, c_void_p, c_void_p)
    ),
}  # fmt: skip


@functools.cache
def native_library() -> ctypes.CDLL:
    """The loaded library. Raises Unsupported when it was not built or does not fit this code."""
    if not LIBRARY.exists():
        raise Unsupported(
            "the native executor was not built: no C++ compiler was found when llm-sidecar was installed"
        )
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise Unsupported(f"{LIBRARY}: cannot be loaded: {error}") from error
    library.native_abi_version.restype = c_int32
    version = library.native_abi_version()
    if version != ABI_VERSION:
        raise Unsupported(
            f"{LIBRARY}: has interface {version}, this code needs {ABI_VERSION}; build it again"
        )
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


def last_error() -> str:
    """What the last call of this thread found wrong."""
    text: bytes | None = native_library().native_error()
    return (text or b"").decode("utf-8", "replace")


def kernel_paths() -> list[tuple[str, bool]]:
    """Every kernel path in the library, the fastest first, and whether this processor can run it."""
    library = native_library()
    usable = c_int32()
    paths: list[tuple[str, bool]] = []
    while name := library.native_path(len(paths), ctypes.byref(usable)):
        paths.append((name.decode(), bool(usable.value)))
    return paths


def choose_path(wanted: str) -> str:
    """The kernel path that `wanted` ("auto" or a name) means here. Raises Unsupported."""
    usable = [name for name, is_usable in kernel_paths() if is_usable]
    if wanted == "auto":
        return usable[0]
    if wanted not in usable:
        raise Unsupported(f"kernel path {wanted!r} cannot run here; usable: {', '.join(usable)}")
    return wanted
