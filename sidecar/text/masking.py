"""Keeping control tokens that stand in a request's own strings from becoming control tokens.

Before a template is rendered, every such text in messages and tools is
replaced by a sentinel that nobody can guess; after rendering, the prompt is
split at the sentinels, and what they stood for is encoded as plain text.
"""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence

from sidecar.errors import InvalidParams
from sidecar.text.template_meter import MAX_INPUT_CHARACTERS
from sidecar.text.tokenizer import TextPiece

MAX_DEPTH = 64
MAX_VALUES = 262_144


class ControlTexts:
    """The texts of a model's control tokens, ready to be looked for whole and at a string's edges."""

    def __init__(self, texts: Sequence[str]) -> None:
        known = sorted({text for text in texts if text}, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, known)) or r"(?!)")
        self._beginnings = {text[:end] for text in known for end in range(1, len(text))}
        self._endings = {text[begin:] for text in known for begin in range(1, len(text))}
        self._longest = max(map(len, known), default=0)

    def opened_by(self, text: str) -> str:
        """What stands at the text's end, white space aside, and may begin a control token."""
        text = text[-self._longest * 2 :].rstrip()
        for length in range(min(self._longest, len(text)), 0, -1):
            if text[-length:] in self._beginnings:
                return text[-length:]
        return ""

    def closed_by(self, text: str) -> bool:
        """Whether the text's beginning may end a control token."""
        text = text[: self._longest * 2].lstrip()
        return any(text[:length] in self._endings for length in range(1, self._longest + 1))


class Masker:
    """Masks the values of one request and unmasks its prompt."""

    def __init__(self, control: ControlTexts) -> None:
        self._control = control
        self._mark = f"q{secrets.token_hex(12)}x"
        self._hidden: list[str] = []
        self._values = 0
        self.characters = 0
        """Characters of all strings masked."""

    def mask(self, values: Mapping[str, object]) -> dict[str, object]:
        """A copy of plain JSON values, in which no string holds a control token.

        Nor do two strings make one that a template puts side by side. Raises
        InvalidParams for another kind of value, or for too many.
        """
        strings: list[str] = []

        def collect(text: str) -> str:
            strings.append(text)
            self.characters += len(text)
            return text

        plain = {name: self._copy(value, collect, 0) for name, value in values.items()}
        if self.characters > MAX_INPUT_CHARACTERS:
            raise InvalidParams(
                f"messages have {self.characters} characters; at most {MAX_INPUT_CHARACTERS} are accepted",
                parameter="messages",
            )
        cuts_ends = any(map(self._control.closed_by, strings)) and any(map(self._control.opened_by, strings))

        def hide(text: str) -> str:
            opened = self._control.opened_by(text) if cuts_ends else ""
            if opened:
                end = text.rindex(opened)
                text, opened = text[:end], self._sentinel(opened) + text[end + len(opened) :]
            return self._control.pattern.sub(lambda match: self._sentinel(match[0]), text) + opened

        return {name: self._copy(value, hide, 0) for name, value in plain.items()}

    def unmask(self, rendered: str) -> list[TextPiece]:
        """The prompt in pieces: the template's text, and between it what must stay plain."""
        # Not by a pattern of its own for every request, which takes longer to compile than to use.
        template, *sentinels = rendered.split(self._mark)
        pieces = [TextPiece(template, True)]
        for sentinel in sentinels:
            number, closing, template = sentinel.partition("q")
            if closing and number.isdecimal():
                pieces += [TextPiece(self._hidden[int(number)], False), TextPiece(template, True)]
            else:
                pieces.append(TextPiece(self._mark + sentinel, True))
        return [piece for piece in pieces if piece.text or not piece.is_control]

    def reveal(self, text: str) -> str:
        """A text that a template made from masked strings, as it was meant."""
        return "".join(piece.text for piece in self.unmask(text))

    def _sentinel(self, text: str) -> str:
        self._hidden.append(text)
        return f"{self._mark}{len(self._hidden) - 1}q"

    def _copy(self, value: object, change: Callable[[str], str], depth: int) -> object:
        self._values += 1
        if depth > MAX_DEPTH or self._values > 2 * MAX_VALUES:
            raise InvalidParams(
                f"messages and tools may have {MAX_VALUES} values, nested {MAX_DEPTH} deep",
                parameter="messages",
            )
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return change(str.__str__(value))
        if isinstance(value, int | float):
            return value
        if isinstance(value, Mapping):
            return {
                self._copy(key, change, depth + 1): self._copy(item, change, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._copy(item, change, depth + 1) for item in value]
        raise InvalidParams(
            f"messages and tools hold plain JSON values, not {type(value).__name__}", parameter="messages"
        )
