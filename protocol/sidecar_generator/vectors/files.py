"""The text of fixture files: JSON with one vector a line, bytes in hex."""

import json
from collections.abc import Iterable, Mapping

import msgspec

Entry = dict[str, object]


def pack(value: object) -> str:
    """The one way to write a value in msgpack that all clients have: shortest forms, keys as they come."""
    return msgspec.msgpack.encode(value).hex()


def readable(value: object) -> object:
    """The value in JSON, bytes as {"$bytes": hex}."""
    match value:
        case bytes():
            return {"$bytes": value.hex()}
        case dict():
            return {key: readable(item) for key, item in value.items()}
        case list():
            return [readable(item) for item in value]
        case _:
            return value


def file_text(head: Entry, lists: Mapping[str, Iterable[Entry]]) -> str:
    """A file: what it says of itself, then lists of entries."""
    parts = [f" {_json(key)}: {_json(value)}" for key, value in head.items()]
    for name, entries in lists.items():
        lines = ",\n".join(f"  {_json(entry)}" for entry in entries)
        parts.append(f" {_json(name)}: [\n{lines}\n ]" if lines else f" {_json(name)}: []")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
