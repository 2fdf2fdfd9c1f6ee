"""models.toml: names that a user or an app gives to models.

[models.writer]
path = "/models/smollm2-1.7b-q4.gguf"

[models.default]
path = "qwen3-4b"          # relative to models.toml
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from sidecar.errors import InvalidParams

MAX_FILE_BYTES = 2**20
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_FIELDS = ("path",)


def read_aliases(file: Path) -> dict[str, Path]:
    """Names and absolute paths out of a models.toml; a file that does not exist has none.

    Raises InvalidParams naming the file, the entry and what would be right.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidParams(f"{file} cannot be read: {error.strerror}", parameter="models_toml") from error
    if len(content) > MAX_FILE_BYTES:
        raise _wrong(file, f"is longer than {MAX_FILE_BYTES} bytes")
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _wrong(file, f"is not TOML: {error}") from error
    _only_known(file, "the file", document, ("models",))
    models = document.get("models", {})
    if not isinstance(models, dict):
        raise _wrong(file, "has a `models` that is no table; write [models.NAME]")
    return {name: _path(file, name, entry) for name, entry in models.items()}


def _path(file: Path, name: str, entry: object) -> Path:
    if not NAME_PATTERN.fullmatch(name):
        raise _wrong(
            file, f"has the name {name[:140]!r}; names are 1 to 128 of letters, digits, '.', '_', ':', '-'"
        )
    if not isinstance(entry, dict):
        raise _wrong(file, f'models.{name} is no table; write [models.{name}] and under it path = "…"')
    _only_known(file, f"models.{name}", entry, _FIELDS)
    path = entry.get("path")
    if not isinstance(path, str) or not path or "\0" in path:
        raise _wrong(
            file, f"models.{name}.path is {path!r}; it must be the path of a .gguf file or a model folder"
        )
    return (file.parent / Path(path).expanduser()).resolve()


def _only_known(file: Path, where: str, table: Mapping[str, object], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}"
            raise _wrong(file, f"{where} has an unknown key {key[:100]!r}; {hint}")


def _wrong(file: Path, problem: str) -> InvalidParams:
    return InvalidParams(f"{file}: {problem}", parameter="models_toml")
