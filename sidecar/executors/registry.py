"""Which executors exist in this installation, found without importing what they are built on."""

from importlib.util import find_spec

from sidecar.errors import Unsupported
from sidecar.executors.accelerators import has_accelerator
from sidecar.executors.base import ExecutorKind
from sidecar.executors.native.library import LIBRARY, native_library

NATIVE, TORCH = "native", "torch"


def available_executors(device: str = "auto") -> list[str]:
    """Names of the executors that can be made here for a device, the preferred one first.

    torch comes first where there is a driver of a device that is faster than any CPU.
    """
    has_torch = find_spec("torch") is not None
    is_native = LIBRARY.exists() and device in ("auto", "cpu")
    names = [NATIVE] * is_native + [TORCH] * has_torch
    return names[::-1] if device == "auto" and has_torch and has_accelerator() else names


def preferred_executors(device: str) -> list[str]:
    """The same, asking torch itself whether it can use what drivers promise; may import it, which is slow."""
    names = available_executors(device)
    if names[:1] == [TORCH] and NATIVE in names:
        from sidecar.executors.torch.kind import TorchExecutorKind

        return names if TorchExecutorKind().runs_on_accelerator() else names[::-1]
    return names


def executor_kind(name: str) -> ExecutorKind:
    """The executor kind called `name`. Raises Unsupported naming the extra that brings it.

    Importing it may be slow (torch): call this on a loader thread.
    """
    if name == NATIVE:
        from sidecar.executors.native.kind import NativeExecutorKind

        native_library()
        return NativeExecutorKind()
    if name == TORCH:
        if find_spec("torch") is None:
            raise Unsupported("the torch executor needs torch: pip install 'llm-sidecar[engine]'")
        from sidecar.executors.torch.kind import TorchExecutorKind

        return TorchExecutorKind()
    if name == "scripted":
        from sidecar.executors.scripted import ScriptedExecutorKind

        return ScriptedExecutorKind()
    raise Unsupported(
        f"there is no executor {name!r}; available here: {', '.join(available_executors()) or 'none'}"
    )
