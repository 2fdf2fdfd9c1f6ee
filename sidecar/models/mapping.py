"""Read-only memory mapping of a model file.

A mapping is never closed by hand: it lives exactly as long as the memoryviews
taken from it and goes when the last of them is dropped. While it lives, the
file must not be shortened in place (the system then ends whoever reads the
missing part); replacing it by a rename is safe.
"""

import mmap
import os
import stat
from pathlib import Path

from sidecar.errors import InvalidModelFile, ModelLoadFailed, NotFound


def map_file(path: Path) -> mmap.mmap:
    """Map a regular file whole. Raises NotFound, InvalidModelFile (empty, no file) or ModelLoadFailed."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidModelFile(path, "is not a regular file")
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise InvalidModelFile(path, "is empty")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise NotFound(f"{path}: there is no such file") from None
    except OSError as error:
        raise ModelLoadFailed(f"{path}: cannot be read: {error.strerror}") from error


def release_pages(buffer: memoryview) -> None:
    """Take the pages of the file mapping behind `buffer` out of this process; a later use reads them again.

    What was written to a shared mapping stays in the file.
    """
    mapping = buffer.obj
    if isinstance(mapping, mmap.mmap) and hasattr(mapping, "madvise"):
        mapping.madvise(mmap.MADV_DONTNEED)
