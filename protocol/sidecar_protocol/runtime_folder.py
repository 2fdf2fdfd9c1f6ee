"""Where connection files lie: part of the contract, since writer and reader must agree."""

import os
import sys
from pathlib import Path


def runtime_folder() -> Path:
    """A folder of this user alone; made with mode 0700 by whoever writes there.

    The system's runtime folder where it has one; on a Linux without
    XDG_RUNTIME_DIR a folder in the user's cache, since a shared temporary folder
    could be made by somebody else first.
    """
    from platformdirs import user_cache_path, user_runtime_path

    if sys.platform.startswith("linux") and not os.environ.get("XDG_RUNTIME_DIR"):
        return user_cache_path("llm-sidecar", appauthor=False) / "run"
    return user_runtime_path("llm-sidecar", appauthor=False)
