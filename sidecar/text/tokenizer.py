"""Text to token ids and back.

Decoding is defined by bytes: every token contributes its exact bytes, whatever
stands beside it; joined and read as UTF-8 they are the text, an invalid part
being U+FFFD. So a stream can be decoded token by token without looking back.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.errors import InvalidParams
from sidecar.models.source import TokenizerSource
from sidecar.text.backend import Backend, Spelling

if TYPE_CHECKING:
    import tokenizers

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A part of a rendered prompt: `is_control` says that control tokens in it are meant as such."""

    text: str
    is_control: bool


class Tokenizer:
    """A model's tokenizer. Safe to use from several threads at once."""

    def __init__(
        self,
        backend: Backend,
        *,
        bos_token_id: int | None,
        eos_token_ids: tuple[int, ...],
        vocab_size: int | None = None,
    ) -> None:
        self.vocab_size = max(backend.vocab_size, vocab_size or 0)
        """Ids below it are valid. Those that only pad the model's embedding have no text."""
        self.bos_token_id = bos_token_id
        self.eos_token_ids = eos_token_ids
        self.special_token_ids = backend.special_ids
        self.strips_leading_space = backend.strips_leading_space
        """Whether a decoded text loses one leading space, which encoding had put there."""
        self.adds_bos = backend.add_bos and bos_token_id is not None
        self._backend = backend
        self._bytes: dict[int, bytes] = {}

    @classmethod
    def from_source(cls, source: TokenizerSource, *, vocab_size: int | None = None) -> "Tokenizer":
        """Build it; `vocab_size` is the model's, which may be padded beyond the tokenizer's.

        Raises Unsupported for a kind that is not known exactly, ModelLoadFailed
        (InvalidModelFile) for fields or a file that are not sound.
        """
        if source.json_path is not None:
            from sidecar.text.json_tokenizer import build_from_json

            backend = build_from_json(source, source.json_path)
        else:
            from sidecar.text.gguf_tokenizer import build_from_gguf

            backend = build_from_gguf(source)
        return cls(
            backend,
            bos_token_id=source.bos_token_id,
            eos_token_ids=source.eos_token_ids,
            vocab_size=vocab_size,
        )

    def encode(self, text: str, *, parse_special: bool = False, add_bos: bool | None = None) -> list[int]:
        """Token ids of a text.

        Control tokens written in the text become such only with
        `parse_special`; without it none comes out but the leading BOS.
        `add_bos=None` does as the model's tokenizer does. Raises InvalidParams
        for text that is not Unicode, or a BOS that the model does not have.
        """
        doors = self._backend.first
        ids = self._bos(add_bos)
        ids += _encode(doors.control if parse_special else doors.plain, text)
        return ids

    def encode_pieces(self, pieces: Sequence[TextPiece]) -> list[int]:
        """Token ids of a rendered prompt. Its template writes a BOS where one belongs; none is added."""
        ids: list[int] = []
        doors = self._backend.first
        for piece in pieces:
            if piece.text:
                ids += _encode(doors.control if piece.is_control else doors.plain, piece.text)
                doors = self._backend.continuing
        return ids

    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        """Text of token ids. Raises InvalidParams for an id out of range."""
        content = b"".join(
            self.token_bytes(token_id)
            for token_id in token_ids
            if not (skip_special_tokens and self.is_special(token_id))
        )
        if self.strips_leading_space and content[:1] == b" ":
            content = content[1:]
        return content.decode("utf-8", "replace")

    def token_bytes(self, token_id: int) -> bytes:
        """The exact bytes a token contributes to a text. Raises InvalidParams for an id out of range."""
        content = self._bytes.get(token_id)
        if content is None:
            content = self._bytes[token_id] = self._spell(token_id)
        return content

    def token_text(self, token_id: int) -> str:
        """The token as the vocabulary writes it. Raises InvalidParams for an id out of range."""
        self._check(token_id)
        if token_id >= self._backend.vocab_size:
            return ""
        return self._backend.token_text(token_id) or ""

    def is_special(self, token_id: int) -> bool:
        """Whether it is a control token. Raises InvalidParams for an id out of range."""
        self._check(token_id)
        return token_id in self.special_token_ids

    def control_token_texts(self) -> list[str]:
        """The texts that encode to control tokens when they are parsed."""
        return [self._backend.added[token_id] for token_id in sorted(self.special_token_ids)]

    def _bos(self, add_bos: bool | None) -> list[int]:
        if add_bos is None:
            add_bos = self.adds_bos
        if not add_bos:
            return []
        if self.bos_token_id is None:
            raise InvalidParams("add_bos is true, but the model has no BOS token", parameter="add_bos")
        return [self.bos_token_id]

    def _check(self, token_id: int) -> None:
        if not 0 <= token_id < self.vocab_size:
            raise InvalidParams(
                f"token id {token_id} is out of range; the vocabulary has {self.vocab_size} tokens",
                parameter="tokens",
            )

    def _spell(self, token_id: int) -> bytes:
        text = self.token_text(token_id)
        if token_id in self._backend.added:
            return text.encode()
        if self._backend.spelling is Spelling.BYTE_LEVEL:
            if all(character in _BYTE_OF for character in text):
                return bytes(_BYTE_OF[character] for character in text)
            return text.encode()
        byte = _BYTE_PIECE.fullmatch(text)
        return bytes.fromhex(byte[1]) if byte else text.replace(_SPACE, " ").encode()


def _encode(door: "tokenizers.Tokenizer", text: str) -> list[int]:
    try:
        return door.encode(text, add_special_tokens=False).ids
    except TypeError:
        raise InvalidParams("the text has a lone surrogate; it must be valid Unicode") from None


def _bytes_by_character() -> dict[str, int]:
    """GPT-2's alphabet: printable Latin-1 stands for itself, the rest follows from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + index): byte for index, byte in enumerate(others)
    }


_BYTE_OF = _bytes_by_character()
