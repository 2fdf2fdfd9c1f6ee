"""Building a tokenizer from the fields of a GGUF file.

"gpt2" is byte-level BPE with merges; "llama" is SentencePiece BPE, whose
merges are recovered from the pieces' scores (the rule is that of
transformers' `generate_merges`).
"""

from collections.abc import Collection
from operator import itemgetter
from typing import TYPE_CHECKING

from sidecar.errors import ModelLoadFailed, Unsupported
from sidecar.models.source import TokenizerSource
from sidecar.text.backend import Backend, Spelling, check_control_tokens, open_doors
from sidecar.text.pre_tokenizers import byte_level_pre_tokenizer, cutting_of

if TYPE_CHECKING:
    import tokenizers

UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4
"""Token types; 1 is normal, 5 unused, 6 a byte."""
MAX_PIECE_CHARACTERS = 256


def build_from_gguf(source: TokenizerSource) -> Backend:
    """The backend for GGUF fields. Raises Unsupported for another kind, ModelLoadFailed for unsound ones."""
    if not source.tokens:
        raise Unsupported("the model has no tokenizer")
    if source.model == "gpt2":
        return _byte_level(source)
    if source.model == "llama":
        return _sentencepiece(source)
    raise Unsupported(f"the tokenizer kind {source.model!r} is not supported; supported: gpt2, llama")


def _byte_level(source: TokenizerSource) -> Backend:
    from tokenizers import models, normalizers

    cutting = cutting_of(source.pre)
    special, added = _added_tokens(source)
    vocabulary = _vocabulary(source)
    merges = _merges(source, vocabulary, frozenset(special.values()))
    model = models.BPE(vocab=vocabulary, merges=merges, ignore_merges=cutting.ignore_merges)
    doors = open_doors(
        model,
        normalizers.NFC() if cutting.nfc else None,
        byte_level_pre_tokenizer(cutting),
        _library_tokens(special, added),
    )
    check_control_tokens(doors, special)
    return Backend(
        first=doors,
        continuing=doors,
        spelling=Spelling.BYTE_LEVEL,
        vocab_size=len(source.tokens),
        token_text=source.tokens.__getitem__,
        added=added,
        special_ids=frozenset(special),
        strips_leading_space=False,
        add_bos=source.add_bos,
    )


def _sentencepiece(source: TokenizerSource) -> Backend:
    from tokenizers import models
    from tokenizers.pre_tokenizers import Metaspace

    special, added = _added_tokens(source)
    vocabulary = _vocabulary(source)
    if source.merges:
        merges = _merges(source, vocabulary, frozenset(special.values()))
    elif len(source.scores) == len(source.tokens):
        merges = _merges_by_score(source, vocabulary, special)
    else:
        raise ModelLoadFailed("tokenizer: a 'llama' tokenizer needs merges, or a score for every token")
    unknown = source.tokens[source.unknown_token_id] if source.unknown_token_id is not None else None
    model = models.BPE(vocab=vocabulary, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    library_tokens = _library_tokens(special, added)
    continuing = open_doors(model, None, Metaspace(prepend_scheme="never", split=False), library_tokens)
    first = continuing
    if source.add_space_prefix:
        first = open_doors(model, None, Metaspace(prepend_scheme="first", split=False), library_tokens)
    check_control_tokens(continuing, special)
    return Backend(
        first=first,
        continuing=continuing,
        spelling=Spelling.SENTENCEPIECE,
        vocab_size=len(source.tokens),
        token_text=source.tokens.__getitem__,
        added=added,
        special_ids=frozenset(special),
        strips_leading_space=source.add_space_prefix,
        add_bos=source.add_bos,
    )


def _vocabulary(source: TokenizerSource) -> dict[str, int]:
    vocabulary = dict(zip(source.tokens, range(len(source.tokens)), strict=True))
    if len(vocabulary) < len(source.tokens):
        twice = next(text for index, text in enumerate(source.tokens) if vocabulary[text] != index)
        raise ModelLoadFailed(f"tokenizer: the token {twice!r} stands twice in the vocabulary")
    return vocabulary


def _added_tokens(source: TokenizerSource) -> tuple[dict[int, str], dict[int, str]]:
    """Special tokens, and all added ones (special or user-defined), by id."""
    kinds = source.token_types
    special_ids = {index for index, kind in enumerate(kinds) if kind in (UNKNOWN, CONTROL)}
    special_ids.update(source.eos_token_ids)
    special_ids.update(
        token_id for token_id in (source.bos_token_id, source.unknown_token_id) if token_id is not None
    )
    user_defined = {index for index, kind in enumerate(kinds) if kind == USER_DEFINED}
    added_ids = sorted(special_ids | user_defined)
    if added_ids and not 0 <= added_ids[-1] < len(source.tokens):
        raise ModelLoadFailed(
            f"tokenizer: token id {added_ids[-1]} is outside of its vocabulary of {len(source.tokens)}"
        )
    if any(not source.tokens[index] for index in added_ids):
        raise ModelLoadFailed("tokenizer: a control or user-defined token is empty")
    added = {index: source.tokens[index] for index in added_ids}
    return {index: text for index, text in added.items() if index in special_ids}, added


def _library_tokens(special: dict[int, str], added: dict[int, str]) -> "list[tokenizers.AddedToken]":
    from tokenizers import AddedToken

    return [AddedToken(text, normalized=False, special=index in special) for index, text in added.items()]


def _merges(
    source: TokenizerSource, vocabulary: dict[str, int], special: Collection[str]
) -> list[tuple[str, str]]:
    """The file's merges, checked, without those that would spell a control token."""
    merges = []
    for index, merge in enumerate(source.merges):
        left, _, right = merge.partition(" ")
        whole = left + right
        if left not in vocabulary or right not in vocabulary or whole not in vocabulary:
            raise ModelLoadFailed(
                f"tokenizer: merge {index} is {merge[:80]!r}; it must be two tokens whose union is a token"
            )
        if whole not in special:
            merges.append((left, right))
    return merges


def _merges_by_score(
    source: TokenizerSource, vocabulary: dict[str, int], special: dict[int, str]
) -> list[tuple[str, str]]:
    """Every way to put a piece together from two others, the best-scored piece first."""
    if any(len(token) > MAX_PIECE_CHARACTERS for token in source.tokens):
        raise ModelLoadFailed(f"tokenizer: a token is longer than {MAX_PIECE_CHARACTERS} characters")
    candidates: list[tuple[float, int, int, str, str]] = []
    for token_id, (token, score) in enumerate(zip(source.tokens, source.scores, strict=True)):
        if token_id in special:
            continue
        ways = [
            (token[:cut], token[cut:])
            for cut in range(1, len(token))
            if token[:cut] in vocabulary and token[cut:] in vocabulary
        ]
        ways.sort(key=lambda way: (vocabulary[way[0]], vocabulary[way[1]]))
        candidates.extend((score, len(left), len(right), left, right) for left, right in ways)
    candidates.sort(key=itemgetter(0, 1, 2), reverse=True)
    return [(left, right) for *_, left, right in candidates]
