"""What a parser makes of an answer, joined from its pieces."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sidecar.openai.toolcalls.base import CallArguments, CallEnd, CallStart, ParsedPiece, ToolCallParser


@dataclass
class Parsed:
    """Text and calls of a whole answer."""

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)

    def take(self, pieces: Iterable[ParsedPiece]) -> None:
        for piece in pieces:
            match piece:
                case str():
                    assert piece
                    self.text += piece
                case CallStart(index, name):
                    assert index == len(self.calls)
                    self.calls.append((name, ""))
                case CallArguments(index, text):
                    assert index == len(self.calls) - 1
                    self.calls[index] = (self.calls[index][0], self.calls[index][1] + text)
                case CallEnd(index):
                    assert index == len(self.calls) - 1


def parse(parser: ToolCallParser, pieces: Iterable[str]) -> Parsed:
    """Feed the pieces one after the other."""
    parsed = Parsed()
    for piece in pieces:
        parsed.take(parser.feed(piece))
    parsed.take(parser.finish())
    return parsed
