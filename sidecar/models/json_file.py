"""JSON from a model's folder, read within bounds."""

import json
from pathlib import Path

from sidecar.errors import InvalidModelFile, ModelLoadFailed

MAX_JSON_BYTES = 16 * 2**20


def parse_object(path: Path, content: bytes, what: str = "it") -> dict[str, object]:
    """A JSON object without repeated keys. Raises InvalidModelFile."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key stands twice in one object")
        return found

    try:
        parsed = json.loads(content, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise InvalidModelFile(path, f"{what} is not sound JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise InvalidModelFile(path, f"{what} must be a JSON object, not {type(parsed).__name__}")
    return parsed


def read_object(path: Path) -> dict[str, object]:
    """The object in a file, empty when there is no such file. Raises InvalidModelFile."""
    content = read_bounded(path, MAX_JSON_BYTES)
    return {} if content is None else parse_object(path, content)


def read_bounded(path: Path, limit: int) -> bytes | None:
    """A file's bytes, None when it does not exist. Raises InvalidModelFile above `limit`."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise ModelLoadFailed(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise InvalidModelFile(path, f"is larger than {limit} bytes")
    return content
