"""How each kind of byte-level vocabulary cuts text before merging, by GGUF's `tokenizer.ggml.pre`.

The expressions are those of the models' own tokenizer.json. A vocabulary cut
in another way than it was trained gives other tokens, so that an unknown kind
is refused rather than guessed.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.errors import Unsupported

if TYPE_CHECKING:
    import tokenizers

_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LLAMA3 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_TAIL}"
_QWEN2 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{_TAIL}"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True)
class Cutting:
    """`expression` None is GPT-2's own. `ignore_merges` takes a whole word that is a token as it is."""

    expression: str | None = None
    single_digits: bool = False
    ignore_merges: bool = False
    nfc: bool = False


_CUTTINGS = {
    "": Cutting(),
    "default": Cutting(),
    "gpt-2": Cutting(),
    "smollm": Cutting(single_digits=True),
    "starcoder": Cutting(single_digits=True),
    "refact": Cutting(single_digits=True),
    "llama-bpe": Cutting(_LLAMA3, ignore_merges=True),
    "llama3": Cutting(_LLAMA3, ignore_merges=True),
    "llama-v3": Cutting(_LLAMA3, ignore_merges=True),
    "smaug-bpe": Cutting(_LLAMA3),
    "qwen2": Cutting(_QWEN2, nfc=True),
    "deepseek-r1-qwen": Cutting(_QWEN2, nfc=True),
    "tekken": Cutting(_TEKKEN, ignore_merges=True),
}


def cutting_of(pre: str) -> Cutting:
    """The cutting called `pre`. Raises Unsupported naming those that are known."""
    if pre not in _CUTTINGS:
        known = ", ".join(name for name in _CUTTINGS if name)
        raise Unsupported(f"the pre-tokenizer {pre!r} is not supported; supported: {known}")
    return _CUTTINGS[pre]


def byte_level_pre_tokenizer(cutting: Cutting) -> "tokenizers.pre_tokenizers.PreTokenizer":
    """The pre-tokenizer of a byte-level vocabulary: cut, then write bytes in GPT-2's alphabet."""
    from tokenizers import Regex, pre_tokenizers

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=cutting.expression is None)
    if cutting.expression is not None:
        split = pre_tokenizers.Split(Regex(cutting.expression), behavior="isolated")
        return pre_tokenizers.Sequence([split, byte_level])
    if cutting.single_digits:
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    return byte_level
