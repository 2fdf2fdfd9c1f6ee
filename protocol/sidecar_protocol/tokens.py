"""tokens.*: text to token ids and back."""

from typing import Annotated

from sidecar_protocol.base import Params, Result, needs
from sidecar_protocol.chat_messages import ChatMessage, ChatTool
from sidecar_protocol.registry import method

MODEL_ERRORS = ("not_found", "model_load_failed", "out_of_memory")


class TokensEncoded(Result):
    """Token ids."""

    token_ids: list[int]


class TokensDecoded(Result):
    """Text; bytes that are no UTF-8 appear as U+FFFD."""

    text: str


class TokensCounted(Result):
    """How many tokens it is, and how many the model can hold."""

    count: int
    context_length: int


@method("tokens.encode", result=TokensEncoded, errors=MODEL_ERRORS, cancellable=True)
class TokensEncode(Params, kw_only=True):
    """Turn text into token ids."""

    text: str
    model: str = "default"
    parse_special: bool = False
    """Whether control tokens written in the text count as such."""


@method("tokens.decode", result=TokensDecoded, errors=MODEL_ERRORS, cancellable=True)
class TokensDecode(Params, kw_only=True):
    """Turn token ids into text."""

    token_ids: list[int]
    model: str = "default"
    skip_special_tokens: bool = True


@method("tokens.count", result=TokensCounted, errors=MODEL_ERRORS, cancellable=True)
class TokensCount(Params, kw_only=True):
    """Count the tokens of a text, or of a conversation as chat.create would send it: give one of the two."""

    model: str = "default"
    text: str | None = None
    messages: list[ChatMessage] | None = None
    tools: Annotated[list[ChatTool] | None, needs("tools")] = None
    """Counted with the messages, as chat.create would offer them."""
