"""What `sidecar doctor` looks at before it starts anything."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sidecar.config import Settings
from sidecar.errors import SidecarError, Unsupported
from sidecar_protocol.runtime_folder import runtime_folder

BASE_PACKAGES = ("msgpack", "msgspec", "platformdirs", "pyzmq", "rich")
ENGINE_PACKAGES = ("jinja2", "safetensors", "tokenizers", "torch")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; a remedy says what to do about it."""

    name: str
    finding: str
    passed: bool = True
    remedy: str = ""


def check_packages() -> Iterator[Check]:
    """The packages of the base installation, and those that run models."""
    for name, packages, extra in (
        ("packages", BASE_PACKAGES, ""),
        ("engine", ENGINE_PACKAGES, "[engine]"),
    ):
        versions = {package: _version(package) for package in packages}
        missing = [package for package, version in versions.items() if version is None]
        if missing:
            remedy = f"pip install 'llm-sidecar{extra}'"
            yield Check(name, f"missing: {', '.join(missing)}", passed=False, remedy=remedy)
        else:
            yield Check(name, ", ".join(f"{package} {version}" for package, version in versions.items()))


def check_executors(chosen: str | None) -> Iterator[Check]:
    """What can run models here."""
    from sidecar.executors.registry import available_executors

    found = available_executors()
    if chosen is not None:
        yield Check("executors", f"{chosen} (chosen); available: {', '.join(found) or 'none'}")
    elif found:
        yield Check("executors", ", ".join(found))
    else:
        yield Check("executors", "none", passed=False, remedy="pip install 'llm-sidecar[engine]'")


def check_native(wanted_path: str) -> Check:
    """The native executor's library, and which of its kernel paths this processor runs."""
    from sidecar.executors.native.library import LIBRARY, choose_path, kernel_paths

    remedy = "install a C++ compiler (g++ or clang++) and install llm-sidecar again"
    if not LIBRARY.exists():
        return Check("native", "not built: models run on torch", remedy=remedy)
    try:
        paths = kernel_paths()
        chosen = choose_path(wanted_path)
    except Unsupported as error:
        return Check("native", error.message, passed=False, remedy=remedy)
    others = [name for name, is_usable in paths if is_usable and name != chosen]
    unusable = [name for name, is_usable in paths if not is_usable]
    finding = f"{chosen} (chosen)"
    if others:
        finding += f"; runs here too: {', '.join(others)}"
    if unusable:
        finding += f"; needs another processor: {', '.join(unusable)}"
    return Check("native", finding)


def check_folders(settings: Settings) -> Iterator[Check]:
    """The folders that are written to, made or not."""
    folders = {
        "cache": settings.library.cache_dir,
        "data": settings.app_data_dir,
        "runtime": runtime_folder(),
        "temporary": Path(tempfile.gettempdir()),
    }
    for name, folder in folders.items():
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
            yield Check(name, str(folder))
        else:
            remedy = f"make {existing} writable for this user, or choose another folder"
            yield Check(name, f"{folder} cannot be written", passed=False, remedy=remedy)


def check_model(name: str, settings: Settings) -> Check:
    """Whether the model to test with is there."""
    if settings.executor == "scripted":
        return Check("model", "built into the executor")
    from sidecar.library.resolve import resolve_model

    try:
        entry = resolve_model(name, settings.library)
    except SidecarError as error:
        remedy = "put a .gguf file or a model folder into a folder and name it with --model-dir"
        return Check("model", error.message, passed=False, remedy=remedy)
    return Check("model", f"{entry.name} ({entry.file_format}, {entry.origin}): {entry.path}")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
