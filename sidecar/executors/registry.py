"""Which executors exist in this installation, found without importing what they are built on."""

from importlib.util import find_spec

from sidecar.errors import Unsupported
from sidecar.executors.base import ExecutorKind


def available_executors() -> list[str]:
    """Names of the executors that can be made here, the preferred one first."""
    return ["torch"] if find_spec("torch") else []


def executor_kind(name: str) -> ExecutorKind:
    """The executor kind called `name`. Raises Unsupported naming the extra that brings it.

    Importing it may be slow (torch): call this on a loader thread.
    """
    if name == "torch":
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
