"""The real sidecar with a child to guard: `python -m tests.support.guarded_sidecar [stubborn]`.

The ids of the child's process group, its leader's first, are in the file `pids` of options.data_dir.
"""

import subprocess
import sys
from pathlib import Path

import psutil

import sidecar.app
from sidecar.config import Settings
from sidecar.lifecycle.logging import LogStream

TREE_SIZE = 3
# A leader, a child and a grandchild. To be deaf to a signal is inherited.
TREE = """sh -c 'sleep 600 & echo $! >> "$0"; wait' "$0" & echo $! >> "$0"; wait"""
DEAF = "trap '' TERM; "


class GuardedSidecar(sidecar.app.Sidecar):
    def __init__(self, settings: Settings, log: LogStream) -> None:
        super().__init__(settings, log)
        assert settings.data_dir is not None
        self._tree = start_tree(settings.data_dir, stubborn="stubborn" in sys.argv)
        self.children.register(self._tree.pid)


def start_tree(folder: Path, *, stubborn: bool = False) -> "subprocess.Popen[bytes]":
    """Start a process group of TREE_SIZE; `stubborn` ones do not end when they are asked to."""
    file = folder / "pids"
    file.unlink(missing_ok=True)
    process = subprocess.Popen(
        ["/bin/sh", "-c", (DEAF if stubborn else "") + TREE, str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not file.exists() or len(file.read_text().split()) < TREE_SIZE - 1:
        if process.poll() is not None:
            raise RuntimeError("the tree did not grow")
    ids = file.read_text()
    file.write_text(f"{process.pid}\n{ids}")
    return process


def tree_in(folder: Path) -> list[psutil.Process]:
    """The processes that start_tree has started there."""
    return [psutil.Process(int(pid)) for pid in (folder / "pids").read_text().split()]


if __name__ == "__main__":
    vars(sidecar.app)["Sidecar"] = GuardedSidecar
    sys.exit(sidecar.app.run_spawned())
