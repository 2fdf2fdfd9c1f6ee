"""What holds for every test: folders of the tests' own, and no time limit on hypothesis examples.

The folders are kept between runs, so that the default model is converted once;
nothing in them is the user's, and nothing of the user's is read.
"""

import os
import signal
from pathlib import Path

from hypothesis import settings

FOLDERS = Path(__file__).parent.parent / ".cache" / "tests"

for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
    folder = FOLDERS / variable.removeprefix("XDG_").removesuffix("_HOME").lower()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[variable] = str(folder)
os.environ.pop("XDG_RUNTIME_DIR", None)

# A busy machine is no reason to fail: time is measured in benchmarks, not in tests.
settings.register_profile("llm-sidecar", deadline=None)
settings.load_profile("llm-sidecar")

# What sidecar.executors.torch does for itself, also for tests that import torch first.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

# A shell that starts tests in the background has them, and every program they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
