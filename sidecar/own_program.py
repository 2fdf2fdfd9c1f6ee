"""How this very program is started again, as a helper of itself: the converter, the guard.

Imports nothing but the standard library, and little of it: helpers start quickly.
"""

import os
import sys

_DROPPED_VARIABLES = ("_PYI_", "LD_", "DYLD_", "PYTHON")


def own_command(*arguments: str) -> list[str]:
    """The command that runs this program with `arguments`; frozen, it is this very binary.

    `-P` keeps Python from importing out of the working folder.
    """
    if getattr(sys, "frozen", False):
        return [sys.executable, *arguments]
    return [sys.executable, "-P", "-m", "sidecar", *arguments]


def scrubbed_environment() -> dict[str, str]:
    """Our environment without what would change which code a child loads."""
    return {
        name: value for name, value in os.environ.items() if not name.upper().startswith(_DROPPED_VARIABLES)
    }
