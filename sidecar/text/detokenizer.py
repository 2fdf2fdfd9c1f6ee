"""Text out of a stream of tokens, never half a character."""

import codecs

from sidecar.text.tokenizer import Tokenizer


class IncrementalDetokenizer:
    """Turns tokens into text one by one.

    What `push` and the final `flush` give, joined, is `tokenizer.decode` of all
    tokens. A token costs the same however long the text has become.

    `continues` says that the tokens go on where a text ended (a raw completion
    rather than an answer): a SentencePiece token's own leading space then
    belongs to the text and stays.
    """

    def __init__(
        self, tokenizer: Tokenizer, skip_special_tokens: bool = True, *, continues: bool = False
    ) -> None:
        self._tokenizer = tokenizer
        self._skips_special = skip_special_tokens
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._strips_space = tokenizer.strips_leading_space and not continues

    def push(self, token_id: int) -> str:
        """The text that became whole with this token, often "". Raises InvalidParams for a bad id."""
        if self._skips_special and self._tokenizer.is_special(token_id):
            return ""
        content = self._tokenizer.token_bytes(token_id)
        if self._strips_space and content:
            self._strips_space = False
            content = content.removeprefix(b" ")
        return self._decoder.decode(content)

    def flush(self) -> str:
        """What an unfinished character leaves: U+FFFD, or nothing."""
        return self._decoder.decode(b"", final=True)
