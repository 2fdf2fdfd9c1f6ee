"""Typed look-ups in a model file's own settings, each checked before it is believed."""

import math
from collections.abc import Mapping
from pathlib import Path

from sidecar.errors import InvalidModelFile

MAX_SIZE = 2**31 - 1


class Fields:
    """A mapping from a model file. Every getter raises InvalidModelFile naming file and key.

    A key that is absent or null gives the default; without a default it is required.
    """

    def __init__(self, path: Path, values: Mapping[str, object]) -> None:
        self.path = path
        self.values = values

    def wrong(self, key: str, accepted: str) -> InvalidModelFile:
        """The error for a value that is not what it must be."""
        shown = repr(self.values.get(key))[:80] if key in self.values else "missing"
        return InvalidModelFile(self.path, f"{key!r} is {shown}; it must be {accepted}")

    def has(self, key: str) -> bool:
        """Whether there is a value."""
        return self.values.get(key) is not None

    def integer(self, key: str, default: int | None = None, *, low: int = 1, high: int = MAX_SIZE) -> int:
        """An integer from `low` to `high`."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(key, f"an integer from {low} to {high}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number above 0."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.wrong(key, "a number above 0")
        if not 0 < value < math.inf:
            raise self.wrong(key, "a finite number above 0")
        return float(value)

    def boolean(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def string(self, key: str, default: str | None = None) -> str:
        """Text."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value

    def strings(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty when absent."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, tuple | list) or set(map(type, value)) - {str}:
            raise self.wrong(key, "a list of strings")
        return tuple(value)

    def integers(self, key: str) -> tuple[int, ...]:
        """A list of integers, empty when absent; a single one counts as a list of one."""
        value = self.values.get(key)
        if value is None:
            return ()
        items = value if isinstance(value, tuple | list) else (value,)
        if set(map(type, items)) - {int}:
            raise self.wrong(key, "integers")
        return tuple(items)

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of numbers, empty when absent."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, tuple | list) or set(map(type, value)) - {int, float}:
            raise self.wrong(key, "a list of numbers")
        return tuple(map(float, value))

    def part(self, key: str) -> "Fields":
        """A nested mapping, empty when absent."""
        value = self.values.get(key)
        if value is None:
            return Fields(self.path, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return Fields(self.path, value)
