"""The sidecar on the paced executor: `python -m benchmarks.bench.paced_sidecar SECONDS` a step."""

import sys
from functools import partial

import sidecar.executors.scripted
from benchmarks.bench.paced import PacedExecutorKind
from sidecar.app import run_spawned


def paced_command(step_seconds: float) -> list[str]:
    """How to start it, in the project's folder."""
    return [sys.executable, "-m", "benchmarks.bench.paced_sidecar", str(step_seconds)]


if __name__ == "__main__":
    kind = partial(PacedExecutorKind, step_seconds=float(sys.argv[1]))
    vars(sidecar.executors.scripted)["ScriptedExecutorKind"] = kind
    sys.exit(run_spawned())
