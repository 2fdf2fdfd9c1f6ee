"""Finding stop strings in a text that arrives in pieces."""

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.errors import InvalidParams


@dataclass(frozen=True, slots=True)
class StopMatch:
    """Text that is safe to show, and the stop string that ended it, which is not part of it."""

    text: str
    matched: str | None = None


class StopMatcher:
    """Looks for stop strings in what is pushed, holding back only what may begin one.

    The occurrence that is complete first wins, and of several that end there
    the longest; so the outcome is the same however the text is cut.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        if not all(stops):
            raise InvalidParams("a stop string is empty", parameter="stop")
        self._stops = tuple(dict.fromkeys(stops))
        self._longest = max(map(len, self._stops), default=0)
        self._beginnings = frozenset(stop[0] for stop in self._stops)
        self._held = ""

    def push(self, text: str) -> StopMatch:
        """Take more text and give what is safe. After a match nothing is held and nothing more counts."""
        if not self._stops:
            return StopMatch(text)
        buffer = self._held + text
        found = [
            (begin + len(stop), begin, stop) for stop in self._stops if (begin := buffer.find(stop)) >= 0
        ]
        if found:
            _, begin, stop = min(found)
            self._held = ""
            return StopMatch(buffer[:begin], stop)
        safe = self._safe_length(buffer)
        self._held = buffer[safe:]
        return StopMatch(buffer[:safe])

    def flush(self) -> str:
        """What was held back, once no more text comes."""
        held, self._held = self._held, ""
        return held

    def _safe_length(self, buffer: str) -> int:
        """Where the longest ending begins that is the beginning of a stop string."""
        for start in range(max(0, len(buffer) - self._longest + 1), len(buffer)):
            if buffer[start] in self._beginnings:
                ending = buffer[start:]
                if any(stop.startswith(ending) for stop in self._stops):
                    return start
        return len(buffer)
