"""How long torch's threads spin while they wait for each other, decided before torch is loaded."""

import os

SPIN_COUNT = "5000"
"""Some tens of microseconds: enough to bridge the gap between two products of one token's step."""

_VARIABLE = "GOMP_SPINCOUNT"
_DECIDING = (_VARIABLE, "OMP_WAIT_POLICY")


def load_torch() -> None:
    """Import torch such that its threads soon sleep when they wait, unless the environment says otherwise.

    GNU OpenMP's own count makes them spin for milliseconds. That is a little
    faster while nobody else wants the cores; against the app's other work, as on
    a desktop, it makes a step several times slower.
    """
    is_decided = any(name in os.environ for name in _DECIDING)
    if not is_decided:
        os.environ[_VARIABLE] = SPIN_COUNT
    import torch

    torch.get_num_threads()
    if not is_decided:
        del os.environ[_VARIABLE]
