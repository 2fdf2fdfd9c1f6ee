"""Which device to run on, and what this computer's CPU is good at."""

import torch

from sidecar.errors import Unsupported


def resolve_device(name: str) -> torch.device:
    """The device called `name` ("auto", "cpu", "cuda", "cuda:1", "mps"). Raises Unsupported without it."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise Unsupported(f"there is no device {name!r}; known: auto, cpu, cuda, cuda:N, mps") from None
    if device.type == "cuda" and torch.cuda.is_available():
        index = device.index or 0
        if index < torch.cuda.device_count():
            return torch.device("cuda", index)
    elif device.type == "cpu" or (device.type == "mps" and torch.backends.mps.is_available()):
        return torch.device(device.type)
    raise Unsupported(f"device {name!r} is not usable here; 'auto' picks {resolve_device('auto')}")


def has_fast_integer_matmul(device: torch.device) -> bool:
    """Whether int8 x int8 -> int32 products are exact and quick: a CPU with VNNI or AMX."""
    flags = _cpu_capabilities()
    return device.type == "cpu" and any(flags.get(name) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 matrix products are quick."""
    if device.type != "cpu":
        return True
    flags = _cpu_capabilities()
    return any(flags.get(name) for name in ("avx512_bf16", "amx_bf16"))


def _cpu_capabilities() -> dict[str, int | bool | str]:
    return dict(torch.cpu.get_capabilities())
