"""Which parser reads a model's calls."""

from collections.abc import Callable, Collection

from sidecar.openai.toolcalls.base import ToolCallParser
from sidecar.openai.toolcalls.json_calls import JsonToolCallParser

ParserFactory = Callable[[Collection[str]], ToolCallParser]
"""Names of the functions → a parser for one answer."""


def parser_for_template(chat_template: str) -> ParserFactory:
    """The parser for answers to prompts of this template; so far the generic one serves them all."""
    return JsonToolCallParser
