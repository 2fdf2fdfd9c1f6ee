"""Follows one JSON object or array through pieces of text, and says early when it cannot be one."""

import enum
import re
from collections.abc import Collection
from typing import Final

MAX_DEPTH: Final = 64

_SPACE: Final = frozenset(" \t\n\r")
_STRING_MARK: Final = re.compile(r'["\\]')
_SCALAR_STARTS: Final = frozenset("-0123456789tfn")
_SCALAR_CHARACTERS: Final = frozenset("-+.0123456789eEtrufalsn")


class ScanState(enum.Enum):
    """What the text is so far."""

    OPEN = enum.auto()
    """The beginning of a value."""
    COMPLETE = enum.auto()
    """A whole value, if its numbers, literals and escapes are sound: a real reader must say so."""
    BROKEN = enum.auto()
    """No value, however it goes on."""


class _Expected(enum.Enum):
    CONTAINER = enum.auto()
    VALUE = enum.auto()
    ITEM_OR_END = enum.auto()
    KEY_OR_END = enum.auto()
    KEY = enum.auto()
    COLON = enum.auto()
    COMMA_OR_END = enum.auto()
    STRING = enum.auto()
    ESCAPED = enum.auto()
    SCALAR = enum.auto()


class JsonScanner:
    """A pushdown automaton over the structure of JSON. Each character is looked at once.

    Only an object whose first key is one of `first_keys`, or a list that begins
    with such an object, is scanned to its end. Whatever the pieces, a value
    breaks at the same place.
    """

    def __init__(self, first_keys: Collection[str]) -> None:
        self.state = ScanState.OPEN
        self._first_keys = first_keys
        self._first_key_read = False
        self._expected = _Expected.CONTAINER
        self._closers: list[str] = []
        self._key: list[str] | None = None

    def scan(self, text: str, position: int) -> int:
        """Read on from `position`; gives the place behind the value, that of what broke it, or the end."""
        while position < len(text) and self.state is ScanState.OPEN:
            match self._expected:
                case _Expected.STRING:
                    position = self._scan_string(text, position)
                case _Expected.ESCAPED:
                    self._keep(text[position])
                    self._expected = _Expected.STRING
                    position += 1
                case _Expected.SCALAR if text[position] in _SCALAR_CHARACTERS:
                    position += 1
                case _Expected.SCALAR:
                    self._expected = _Expected.COMMA_OR_END
                case _:
                    if text[position] not in _SPACE and not self._takes(text[position]):
                        return position
                    position += 1
        return position

    def _scan_string(self, text: str, position: int) -> int:
        mark = _STRING_MARK.search(text, position)
        end = len(text) if mark is None else mark.start()
        self._keep(text[position:end])
        if mark is None:
            return end
        if mark[0] == "\\":
            self._keep("\\")
            self._expected = _Expected.ESCAPED
        elif self._key is None:
            self._expected = _Expected.COMMA_OR_END
        else:
            if not self._first_key_read and "".join(self._key) not in self._first_keys:
                self.state = ScanState.BROKEN
            self._first_key_read = True
            self._key = None
            self._expected = _Expected.COLON
        return end + 1

    def _keep(self, text: str) -> None:
        if self._key is not None and not self._first_key_read:
            self._key.append(text)

    def _takes(self, character: str) -> bool:
        """Whether it fits: a character of the structure, or the first one of a string or scalar."""
        match self._expected, character:
            case _Expected.ITEM_OR_END, _ if not self._first_key_read and character != "{":
                self.state = ScanState.BROKEN
            case ((_Expected.CONTAINER | _Expected.VALUE | _Expected.ITEM_OR_END), ("{" | "[")):
                self._open(character)
            case ((_Expected.VALUE | _Expected.ITEM_OR_END), '"'):
                self._expected = _Expected.STRING
            case ((_Expected.VALUE | _Expected.ITEM_OR_END), _) if character in _SCALAR_STARTS:
                self._expected = _Expected.SCALAR
            case ((_Expected.KEY_OR_END | _Expected.KEY), '"'):
                self._key = []
                self._expected = _Expected.STRING
            case _Expected.COLON, ":":
                self._expected = _Expected.VALUE
            case _Expected.COMMA_OR_END, ",":
                self._expected = _Expected.KEY if self._closers[-1] == "}" else _Expected.VALUE
            case ((_Expected.COMMA_OR_END | _Expected.KEY_OR_END | _Expected.ITEM_OR_END), _):
                self._close(character)
            case _:
                self.state = ScanState.BROKEN
        return self.state is not ScanState.BROKEN

    def _open(self, character: str) -> None:
        if len(self._closers) == MAX_DEPTH:
            self.state = ScanState.BROKEN
        elif character == "{":
            self._closers.append("}")
            self._expected = _Expected.KEY_OR_END
        else:
            self._closers.append("]")
            self._expected = _Expected.ITEM_OR_END

    def _close(self, character: str) -> None:
        if character != self._closers[-1]:
            self.state = ScanState.BROKEN
            return
        self._closers.pop()
        self._expected = _Expected.COMMA_OR_END
        if not self._closers:
            self.state = ScanState.COMPLETE
