"""The text around calls. White space beside a call belongs to the call, not to the text."""

from typing import Final

_SPACE: Final = " \t\r\n"


class VisibleText:
    """Holds back white space until it is known whether a call follows it.

    An answer without calls keeps all of its white space. Where a call stands
    between two texts, the white space before it, or a line's end, parts them.
    """

    def __init__(self) -> None:
        self._space = ""
        self._gap = ""
        self._shown = False
        self._after_call = False

    def add(self, text: str) -> str:
        """More text; gives what can be shown of it and of what was held back."""
        if self._after_call:
            text = text.lstrip(_SPACE)
            if not text:
                return ""
            self._after_call = False
            self._space = (self._gap or "\n") if self._shown else ""
        text = self._space + text
        shown = text.rstrip(_SPACE)
        self._space = text[len(shown) :]
        self._shown = self._shown or bool(shown)
        return shown

    def call(self) -> None:
        """A call stands here."""
        if not self._after_call:
            self._after_call = True
            self._gap = self._space

    def end(self) -> str:
        """What was held back and belongs to the text."""
        return "" if self._after_call else self._space
