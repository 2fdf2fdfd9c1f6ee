"""A small SentencePiece-style vocabulary with byte pieces and scores, as a GGUF file holds it."""

from sidecar.models.source import TokenizerSource

_WORDS = (
    "▁the ▁The ▁cat ▁sat ▁on ▁mat ▁hello ▁Hello ▁world ello llo he lo cat sat wor world ld or el th at an in"
    " ▁t ▁h ▁H ▁w ▁c ▁s ▁o ▁m ▁▁ ▁▁▁ on ma mat he ca sa wo ▁th ▁he ▁He ▁wor ▁ca ▁sa ▁ma er re st"
)
UNKNOWN, BOS, EOS = range(3)


def sentencepiece_source(*, add_space_prefix: bool = True, add_bos: bool = True) -> TokenizerSource:
    """Unknown, BOS, EOS, 256 byte pieces, one user-defined token, single characters, words."""
    letters = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789<>/|.,!?'é你▁")
    words = list(dict.fromkeys(_WORDS.split()))
    tokens = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "<think>",
        *words,
        *letters,
    ]
    types = [2, 3, 3, *[6] * 256, 4, *[1] * (len(words) + len(letters))]
    scores = [0.0] * 260 + [-float(index) for index in range(len(words) + len(letters))]
    return TokenizerSource(
        model="llama",
        tokens=tuple(tokens),
        token_types=tuple(types),
        scores=tuple(scores),
        add_bos=add_bos,
        add_space_prefix=add_space_prefix,
        bos_token_id=BOS,
        eos_token_ids=(EOS,),
        unknown_token_id=UNKNOWN,
    )
