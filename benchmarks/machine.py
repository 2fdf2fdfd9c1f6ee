"""What the numbers were measured on."""

import os
import platform
import re
from pathlib import Path

import msgspec
import psutil

NOTABLE_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx_vnni",
    "amx_int8",
    "asimddp",
    "i8mm",
    "sve",
)
QUIET_PERCENT = 10.0
"""Of all cores; other work above this makes measurements doubtful."""


class Machine(msgspec.Struct, frozen=True):
    """Processor, cores, memory in bytes, operating system."""

    processor: str
    cores: int
    memory_bytes: int
    system: str
    python: str

    def sentence(self) -> str:
        """For above a table."""
        return (
            f"{self.processor}, {self.cores} cores, {self.memory_bytes / 2**30:.0f} GiB; "
            f"{self.system}, Python {self.python}"
        )


def this_machine() -> Machine:
    """The machine this runs on."""
    return Machine(
        processor=_processor(),
        cores=usable_cores(),
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def usable_cores() -> int:
    """Physical cores, or fewer where this process may not use them all."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return min(physical, len(os.sched_getaffinity(0)))
    return physical


def other_load_percent(seconds: float = 1.0) -> float:
    """How busy all cores are while we only wait, in percent."""
    return psutil.cpu_percent(interval=seconds)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    text = info.read_text()
    name = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.+)$", text, re.MULTILINE)
    present = set(flags[1].split()) if flags else set()
    notable = [flag for flag in NOTABLE_FLAGS if flag in present]
    return f"{name[1].strip() if name else platform.machine()} ({', '.join(notable)})"
