"""Devices and threads, and how torch is loaded."""

import os
import subprocess
import sys

import pytest
import torch

from sidecar.errors import Unsupported
from sidecar.executors.base import ExecutorOptions
from sidecar.executors.torch import devices
from sidecar.executors.torch.devices import resolve_device
from sidecar.executors.torch.kind import TorchExecutorKind
from sidecar.executors.torch.openmp import SPIN_COUNT


def test_auto_is_a_device_that_is_there() -> None:
    found = resolve_device("auto")
    assert found.type in {"cuda", "mps", "cpu"}
    assert resolve_device(str(found)) == found
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "xpu", "nonsense", "cpu:0:1"])
def test_a_device_that_is_not_there_is_unsupported(name: str) -> None:
    with pytest.raises(Unsupported, match="device"):
        TorchExecutorKind().create(ExecutorOptions(name))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_cuda_has_an_index() -> None:
    assert resolve_device("cuda") == torch.device("cuda:0")


@pytest.mark.parametrize(
    ("flags", "integers", "bfloat16"),
    [
        ({"avx2": True}, False, False),
        ({"avx512_vnni": True}, True, False),
        ({"avx_vnni": True}, True, False),
        ({"avx512_vnni": True, "avx512_bf16": True}, True, True),
    ],
)
def test_what_a_cpu_is_good_at_is_read_from_its_flags(
    flags: dict[str, bool], integers: bool, bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    cpu = torch.device("cpu")
    assert devices.has_fast_integer_matmul(cpu) is integers
    assert devices.has_fast_bfloat16(cpu) is bfloat16
    assert not devices.has_fast_integer_matmul(torch.device("cuda:0"))


def test_loading_torch_sets_its_threads_patience_and_leaves_the_environment_alone() -> None:
    script = (
        "import os, sys; before = dict(os.environ)\n"
        "import sidecar.executors.torch.openmp as openmp\n"
        "print(dict(os.environ) == before, 'torch' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if "OMP" not in name}
    for extra in ({}, {"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": SPIN_COUNT}):
        finished = subprocess.run(
            [sys.executable, "-c", script],
            env={**environment, **extra},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        assert finished.stdout.split() == ["True", "True"]
