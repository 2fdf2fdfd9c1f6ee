"""What every tool-call parser gives and takes."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call begins; calls are numbered in the order in which they begin, from 0."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """More of a call's arguments, as JSON text."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """A call is whole."""

    index: int


ParsedPiece = str | CallStart | CallArguments | CallEnd
"""Text to show, or a part of a call."""


class ToolCallParser(Protocol):
    """Tells calls from text while an answer is being written.

    However the answer is cut into pieces, joining what comes out gives the same
    text and the same calls. Nothing is ever raised for what a model writes.
    """

    def feed(self, text: str) -> list[ParsedPiece]:
        """Take the next piece of the answer; gives what is certain by now."""

    def finish(self) -> list[ParsedPiece]:
        """The answer is over: gives what was held back."""
