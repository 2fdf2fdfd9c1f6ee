"""`… requantize SOURCE TARGET TYPE`: llama.cpp's own quantizer. Runs in llama.cpp's environment."""

import ctypes
import sys
from pathlib import Path

import llama_cpp

FILE_TYPES = {
    "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q4_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
}


def requantize(source: Path, target: Path, file_type: str) -> None:
    """Write `source` as another type; the file appears under its name once it is complete."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = FILE_TYPES[file_type]
    parameters.allow_requantize = True
    unfinished = target.with_suffix(".unfinished")
    status = llama_cpp.llama_model_quantize(
        str(source).encode(), str(unfinished).encode(), ctypes.byref(parameters)
    )
    if status != 0:
        raise SystemExit(f"llama.cpp could not make {file_type} of {source}: status {status}")
    unfinished.replace(target)


if __name__ == "__main__":
    requantize(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
