"""The generic parser: calls as JSON, in the forms that models of many families use.

- `<tool_call>{"name": "f", "arguments": {…}}</tool_call>` (Hermes, Qwen, SmolLM2), also with a list
  in it, several values, or without the end;
- a JSON object or a list of them at the beginning of a line (Llama 3, and models that were only told to);
- the same in a ``` fence.

`parameters` may stand for `arguments`, OpenAI's nesting in `function` is read, and
arguments may be an object or a string that holds one. A call is told when it is
whole: until then it may turn out to be malformed, and what is malformed is text.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from sidecar.openai.toolcalls.base import CallArguments, CallEnd, CallStart, ParsedPiece
from sidecar.openai.toolcalls.call_objects import CALL_KEYS, read_calls
from sidecar.openai.toolcalls.json_scanner import JsonScanner, ScanState
from sidecar.openai.toolcalls.visible_text import VisibleText

_TAG: Final = "<tool_call>"
_CLOSING_TAG: Final = "</tool_call>"
_FENCE: Final = "```"
_POINT: Final = re.compile(r"<|^[ \t]*[`{\[]", re.MULTILINE)
_FENCE_LINE: Final = re.compile(r"```[ \t]*(?:json|tool_calls?|tool_code)?[ \t]*\r?\n", re.IGNORECASE)
_FENCE_LINE_SO_FAR: Final = re.compile(r"`{1,2}|```[ \t]*[a-z_]{0,10}[ \t]*\r?", re.IGNORECASE)
_SPACE: Final = " \t\r\n"


@dataclass(slots=True)
class _Candidate:
    """What may be a call: it begins where the unread text begins, its value at `value`."""

    closing: str
    """What ends the form, empty for none."""
    value: int
    position: int
    scanner: JsonScanner = field(default_factory=lambda: JsonScanner(CALL_KEYS))


class JsonToolCallParser:
    """A ToolCallParser. `names` are the functions; within `<tool_call>` any name is a call."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)
        self._visible = VisibleText()
        self._unread = ""
        self._at_line_start = True
        self._candidate: _Candidate | None = None
        self._closing = ""
        """Set behind a call: what may end the form that it stands in."""
        self._calls = 0
        self._pieces: list[ParsedPiece] = []

    def feed(self, text: str) -> list[ParsedPiece]:
        """Take the next piece of the answer; gives what is certain by now."""
        self._unread += text
        return self._read(final=False)

    def finish(self) -> list[ParsedPiece]:
        """The answer is over: gives what was held back."""
        pieces = self._read(final=True)
        held = self._visible.end()
        return [*pieces, held] if held else pieces

    def _read(self, *, final: bool) -> list[ParsedPiece]:
        while self._unread:
            if self._candidate is not None:
                goes_on = self._read_candidate(self._candidate, final)
            elif self._closing:
                goes_on = self._read_closing(final)
            else:
                goes_on = self._read_text(final)
            if not goes_on:
                break
        pieces, self._pieces = self._pieces, []
        return pieces

    def _read_text(self, final: bool) -> bool:
        """Show text up to what may begin a call. False when it takes more text to go on."""
        position = 0
        while (point := _POINT.search(self._unread, position)) is not None:
            start, position = point.end() - 1, point.end()
            if point.start() == 0 and self._unread[start] != "<" and not self._at_line_start:
                continue
            candidate = self._opening_at(start)
            if candidate is not None or (not final and self._may_open_at(start)):
                self._show(start)
                self._candidate = candidate
                return candidate is not None
        self._show(len(self._unread))
        return False

    def _opening_at(self, start: int) -> _Candidate | None:
        """The candidate that begins at `start`, its places counted from there."""
        if self._unread[start] in "{[":
            return _Candidate("", 0, 0)
        if self._unread.startswith(_TAG, start):
            return _Candidate(_CLOSING_TAG, len(_TAG), len(_TAG))
        fence = _FENCE_LINE.match(self._unread, start)
        if fence is not None:
            return _Candidate(_FENCE, len(fence[0]), len(fence[0]))
        return None

    def _may_open_at(self, start: int) -> bool:
        return (
            _TAG.startswith(self._unread[start:])
            or _FENCE_LINE_SO_FAR.fullmatch(self._unread, start) is not None
        )

    def _read_candidate(self, candidate: _Candidate, final: bool) -> bool:
        candidate.position = candidate.scanner.scan(self._unread, candidate.position)
        state = candidate.scanner.state
        if state is ScanState.OPEN and not final:
            return False
        self._candidate = None
        if state is ScanState.COMPLETE and self._call(candidate):
            self._closing = candidate.closing
            self._skip(candidate.position)
        else:
            self._show(candidate.position)
        return True

    def _call(self, candidate: _Candidate) -> bool:
        calls = read_calls(
            self._unread[candidate.value : candidate.position],
            names=None if candidate.closing == _CLOSING_TAG else self._names,
        )
        for call in calls or ():
            index = self._calls
            self._pieces += [
                CallStart(index, call.name),
                CallArguments(index, call.arguments),
                CallEnd(index),
            ]
            self._calls += 1
        return calls is not None

    def _read_closing(self, final: bool) -> bool:
        """Behind a call: the end of its form, another value, or text. False when more text must come."""
        closing = self._closing
        rest = self._unread.lstrip(_SPACE)
        space = len(self._unread) - len(rest)
        if not final and rest != closing and closing.startswith(rest):
            return False
        self._closing = ""
        if rest.startswith(closing):
            self._skip(space + len(closing))
        elif rest[:1] in ("{", "["):
            self._candidate = _Candidate(closing, space, space)
        else:
            self._skip(space)
        return True

    def _show(self, length: int) -> None:
        text = self._unread[:length]
        self._unread = self._unread[length:]
        _, newline, line = text.rpartition("\n")
        self._at_line_start = (bool(newline) or self._at_line_start) and not line.strip(" \t")
        shown = self._visible.add(text)
        if shown:
            self._pieces.append(shown)

    def _skip(self, length: int) -> None:
        """Leave out what belongs to a call."""
        self._unread = self._unread[length:]
        self._at_line_start = True
        self._visible.call()
