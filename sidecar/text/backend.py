"""What a tokenizer is built from, ready to run: the `tokenizers` library behind two doors.

One door recognises control tokens written in a text, the other takes every
text as plain; for tokenizers that put a space before a text there is a second
pair of doors that does not, for texts that go on where another ended.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.errors import ModelLoadFailed

if TYPE_CHECKING:
    import tokenizers


class Spelling(enum.Enum):
    """How a vocabulary writes bytes."""

    BYTE_LEVEL = "byte level"
    """GPT-2's alphabet: one printable character for each byte."""
    SENTENCEPIECE = "sentencepiece"
    """Text with U+2581 for a space, and <0xAB> for a byte."""


@dataclass(frozen=True, slots=True)
class Doors:
    """One way into the vocabulary: with control tokens recognised, and without."""

    control: "tokenizers.Tokenizer"
    plain: "tokenizers.Tokenizer"


@dataclass(frozen=True, slots=True)
class Backend:
    """A built tokenizer. `added` maps the ids of control and user-defined tokens to their texts."""

    first: Doors
    continuing: Doors
    spelling: Spelling
    vocab_size: int
    token_text: Callable[[int], str | None]
    added: dict[int, str]
    special_ids: frozenset[int]
    strips_leading_space: bool
    add_bos: bool


def open_doors(
    model: "tokenizers.models.BPE",
    normalizer: "tokenizers.normalizers.Normalizer | None",
    pre_tokenizer: "tokenizers.pre_tokenizers.PreTokenizer | None",
    added: "list[tokenizers.AddedToken]",
) -> Doors:
    """Two doors to one model, which they share."""
    import tokenizers

    # The library keeps the words it has seen for each thread and model, and for as long as the thread lives.
    model._resize_cache(0)
    doors = []
    for _ in range(2):
        door = tokenizers.Tokenizer(model)
        if normalizer is not None:
            door.normalizer = normalizer
        if pre_tokenizer is not None:
            door.pre_tokenizer = pre_tokenizer
        for token in added:
            (door.add_special_tokens if token.special else door.add_tokens)([token])
        doors.append(door)
    doors[1].encode_special_tokens = True
    return Doors(*doors)


def check_control_tokens(doors: Doors, special: dict[int, str]) -> None:
    """Make sure that no text taken as plain becomes a control token. Raises ModelLoadFailed."""
    for token_id, text in special.items():
        if token_id in doors.plain.encode(text, add_special_tokens=False).ids:
            raise ModelLoadFailed(
                f"tokenizer: plain text can spell the control token {text!r}, so that no text would be safe"
            )
