"""Addresses of Python buffers, read-only ones included.

ctypes itself refuses buffers it could not write to, such as a mapped model file.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

Buffer = bytes | bytearray | memoryview


class _PyBuffer(ctypes.Structure):
    """CPython's Py_buffer."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int)
_get_buffer.restype = ctypes.c_int
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.POINTER(_PyBuffer),)
_release_buffer.restype = None
_SIMPLE = 0


def address_of(buffer: Buffer) -> int:
    """Where a contiguous buffer begins; right as long as whoever owns it keeps it.

    Raises BufferError for one that is not contiguous.
    """
    with _held(buffer) as address:
        return address


@contextmanager
def _held(buffer: Buffer) -> Iterator[int]:
    view = _PyBuffer()
    _get_buffer(buffer, ctypes.byref(view), _SIMPLE)
    try:
        yield view.buf or 0
    finally:
        _release_buffer(ctypes.byref(view))
