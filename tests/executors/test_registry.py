"""Which executor comes first."""

import pytest

from sidecar.executors import registry
from sidecar.executors.registry import NATIVE, TORCH, available_executors, preferred_executors
from sidecar.executors.torch.kind import TorchExecutorKind


def test_on_a_cpu_native_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "has_accelerator", lambda: False)
    assert available_executors() == [NATIVE, TORCH]
    assert preferred_executors("auto") == [NATIVE, TORCH]


def test_torch_comes_first_where_it_has_a_faster_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "has_accelerator", lambda: True)
    monkeypatch.setattr(TorchExecutorKind, "runs_on_accelerator", lambda self: True)
    assert preferred_executors("auto") == [TORCH, NATIVE]
    assert preferred_executors("cpu") == [NATIVE, TORCH]
    assert preferred_executors("cuda") == [TORCH]


def test_a_driver_without_a_torch_for_it_leaves_native_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "has_accelerator", lambda: True)
    monkeypatch.setattr(TorchExecutorKind, "runs_on_accelerator", lambda self: False)
    assert preferred_executors("auto") == [NATIVE, TORCH]
