"""Building a tokenizer from a Hugging Face tokenizer.json."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from sidecar.errors import InvalidModelFile, Unsupported
from sidecar.models.json_file import parse_object, read_bounded
from sidecar.models.source import TokenizerSource
from sidecar.text.backend import Backend, Spelling, check_control_tokens, open_doors

if TYPE_CHECKING:
    import tokenizers

MAX_BYTES = 64 * 2**20
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"

Json = dict[str, object]


def build_from_json(source: TokenizerSource, path: Path) -> Backend:
    """The backend for a tokenizer.json.

    Raises InvalidModelFile for a file that is not sound, Unsupported for a
    decoder that does not give every token its own bytes.
    """
    content = read_bounded(path, MAX_BYTES)
    if content is None:
        raise InvalidModelFile(path, "is not there")
    document = parse_object(path, content)
    _check_model(path, document)
    special_texts = {
        token["content"]
        for token in _objects(document.get("added_tokens"))
        if token.get("special") is True and isinstance(token.get("content"), str)
    }
    _drop_merges(document, special_texts)
    whole = _library_tokenizer(path, document)
    spelling, strips = _spelling(path, document)
    added_tokens = whole.get_added_tokens_decoder()
    library_tokens = [added_tokens[token_id] for token_id in sorted(added_tokens)]
    first = open_doors(whole.model, whole.normalizer, whole.pre_tokenizer, library_tokens)
    continuing = first
    if strips:
        bare = _library_tokenizer(path, _without_prefix(document))
        continuing = open_doors(whole.model, bare.normalizer, bare.pre_tokenizer, library_tokens)
    added = {token_id: added_tokens[token_id].content for token_id in sorted(added_tokens)}
    if {**first.plain.get_added_tokens_decoder()}.keys() != added.keys():
        raise InvalidModelFile(path, "has added tokens whose ids do not fit its vocabulary")
    special = {token_id: text for token_id, text in added.items() if added_tokens[token_id].special}
    check_control_tokens(continuing, special)
    return Backend(
        first=first,
        continuing=continuing,
        spelling=spelling,
        vocab_size=max(whole.get_vocab(with_added_tokens=True).values(), default=-1) + 1,
        token_text=whole.id_to_token,
        added=added,
        special_ids=frozenset(special),
        strips_leading_space=strips,
        add_bos=source.add_bos or _begins_with(whole, source.bos_token_id),
    )


def _library_tokenizer(path: Path, document: Json) -> "tokenizers.Tokenizer":
    import json

    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(json.dumps(document))
    except Exception as error:  # the library raises nothing more specific
        raise InvalidModelFile(path, f"is not a sound tokenizer: {error}") from error


def _begins_with(tokenizer: "tokenizers.Tokenizer", bos_token_id: int | None) -> bool:
    """Whether the file's own post-processor puts a beginning-of-sequence token before a text."""
    return bos_token_id is not None and tokenizer.encode("a").ids[:1] == [bos_token_id]


def _objects(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _steps(part: object, children: str) -> list[Json]:
    """A component's steps: a "Sequence" is several, anything else one, null none."""
    if not isinstance(part, dict):
        return []
    return _objects(part.get(children)) if part.get("type") == "Sequence" else [part]


def _check_model(path: Path, document: Json) -> None:
    """Only plain BPE: the library does not check the rest of what a model section may say."""
    model = document.get("model")
    if not isinstance(model, dict):
        raise InvalidModelFile(path, "has no model")
    if model.get("type", "BPE") != "BPE":
        raise Unsupported(f"{path}: the model {str(model['type'])[:40]!r} is not supported; supported: BPE")
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key) not in (None, ""):
            raise Unsupported(f"{path}: a model with {key} is not supported")


def _drop_merges(document: Json, special_texts: set[object]) -> None:
    """Leave out merges that would spell a control token."""
    model = document.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("merges"), list):
        return

    def union(merge: object) -> str:
        return "".join(map(str, merge)) if isinstance(merge, list) else str(merge).replace(" ", "", 1)

    model["merges"] = [merge for merge in model["merges"] if union(merge) not in special_texts]


def _spelling(path: Path, document: Json) -> tuple[Spelling, bool]:
    """How tokens become bytes, and whether a text's leading space is the tokenizer's own."""
    steps = _steps(document.get("decoder"), "decoders")
    kinds = [str(step.get("type")) for step in steps]
    if kinds == ["ByteLevel"]:
        return Spelling.BYTE_LEVEL, False
    replaces = any(
        step.get("type") == "Replace"
        and step.get("pattern") == {"String": _SPACE}
        and step.get("content") == " "
        for step in steps
    )
    if replaces and set(kinds) <= {"Replace", "ByteFallback", "Fuse", "Strip"}:
        return Spelling.SENTENCEPIECE, "Strip" in kinds
    if kinds == ["Metaspace"]:
        return Spelling.SENTENCEPIECE, steps[0].get("prepend_scheme") != "never"
    raise Unsupported(f"{path}: the decoder {'+'.join(kinds) or 'null'} is not supported")


def _without_prefix(document: Json) -> Json:
    """The same tokenizer, but putting no space before a text."""
    normalizers = [
        step for step in _steps(document.get("normalizer"), "normalizers") if step.get("type") != "Prepend"
    ]
    pre_tokenizers = [
        {**step, "prepend_scheme": "never"} if step.get("type") == "Metaspace" else step
        for step in _steps(document.get("pre_tokenizer"), "pretokenizers")
    ]
    model = cast("Json", document["model"])
    return {
        **document,
        "added_tokens": [],
        "post_processor": None,
        "model": {**model, "vocab": {}, "merges": [], "unk_token": None},
        "normalizer": {"type": "Sequence", "normalizers": normalizers} if normalizers else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": pre_tokenizers} if pre_tokenizers else None,
    }
