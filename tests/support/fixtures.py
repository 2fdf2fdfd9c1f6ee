"""The files in protocol/fixtures, which the suite of every language reads."""

import json
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[2] / "protocol/fixtures"

Entry = dict[str, Any]


def fixture(name: str) -> Any:
    """A file's content."""
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def type_entries(verdict: str) -> list[Entry]:
    """All vectors of types that are accepted, or rejected, each with its module."""
    files = sorted((FIXTURES / "types").glob("*.json"))
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    return [{**entry, "module": content["module"]} for content in contents for entry in content[verdict]]


def from_readable(value: Any) -> Any:
    """What JSON stands for: {"$bytes": hex} are bytes."""
    match value:
        case {"$bytes": str(digits), **rest} if not rest:
            return bytes.fromhex(digits)
        case dict():
            return {key: from_readable(item) for key, item in value.items()}
        case list():
            return [from_readable(item) for item in value]
        case _:
            return value
