"""Builds the native executor's library into wheels and editable installs.

Without a C++ compiler the wheel is pure Python and models run on torch. LLM_SIDECAR_NATIVE=0
leaves the library out on purpose.
"""

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

BUILD_SCRIPT = Path(__file__).parent / "sidecar/executors/native/build.py"


class NativeBuildHook(BuildHookInterface):
    """The build hook of the `wheel` target."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compiles the library and marks the wheel as one for this platform."""
        if os.environ.get("LLM_SIDECAR_NATIVE") == "0":
            self.app.display_warning(
                "LLM_SIDECAR_NATIVE=0: the wheel is pure Python, models will run on torch"
            )
            return
        script = _build_script()
        compiler = script.find_compiler()
        if compiler is None:
            self.app.display_warning(
                "no C++ compiler was found ($CXX, c++, g++, clang++): "
                "the wheel is pure Python, models will run on torch"
            )
            return
        library = script.build_library(compiler)
        build_data["artifacts"].append(library.relative_to(self.root).as_posix())
        build_data["pure_python"] = False
        # The library is called through ctypes: it fits every Python, on this platform.
        build_data["tag"] = f"py3-none-{_platform_tag()}"


def _platform_tag() -> str:
    # As hatchling infers it: what a plain build promises is this system, not manylinux.
    platforms = (tag.platform for tag in sys_tags())
    return next(name for name in platforms if "manylinux" not in name and "musllinux" not in name)


def _build_script() -> ModuleType:
    # By its path: the package's other modules need dependencies that a build does not have.
    spec = importlib.util.spec_from_file_location("native_build", BUILD_SCRIPT)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(BUILD_SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
