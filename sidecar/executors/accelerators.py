"""Whether this computer has a device that runs models faster than its CPU, asked without importing torch."""

import platform
import sys
from pathlib import Path

_NVIDIA_DRIVERS = (Path("/proc/driver/nvidia/version"), Path("C:/Windows/System32/nvcuda.dll"))


def has_accelerator() -> bool:
    """A CUDA device's driver, or Apple's own processor. torch has the last word when it is loaded."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return any(driver.exists() for driver in _NVIDIA_DRIVERS)
