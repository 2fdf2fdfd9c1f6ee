"""Tokenizers that the tests of this room share: the default model's, tiny ones, and transformers' own."""

from pathlib import Path
from typing import Any

import pytest

from sidecar.models.open import open_model
from sidecar.models.source import TokenizerSource
from sidecar.text.tokenizer import Tokenizer
from tests.support.default_model import default_model_path
from tests.support.tiny_tokenizer import TURN_BEGIN, TURN_END, TinyTokenizer, tiny_tokenizer


def gguf_source(tiny: TinyTokenizer) -> TokenizerSource:
    return TokenizerSource(
        model=tiny.model,
        pre=tiny.pre,
        tokens=tuple(tiny.tokens),
        token_types=tuple(tiny.token_types),
        merges=tuple(tiny.merges),
        bos_token_id=TURN_BEGIN,
        eos_token_ids=(TURN_END,),
    )


@pytest.fixture(scope="session")
def tiny() -> Tokenizer:
    return Tokenizer.from_source(gguf_source(tiny_tokenizer()))


@pytest.fixture(scope="session")
def tiny_json(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_text(tiny_tokenizer().json)
    return Tokenizer.from_source(
        TokenizerSource(json_path=path, bos_token_id=TURN_BEGIN, eos_token_ids=(TURN_END,))
    )


@pytest.fixture(scope="session")
def default_tokenizer() -> Tokenizer:
    return Tokenizer.from_source(open_model(default_model_path()).tokenizer)


@pytest.fixture(scope="session")
def reference() -> Any:
    """transformers' tokenizer for the default model, cutting digits as the model was trained to.

    transformers leaves `tokenizer.ggml.pre = smollm` aside and takes GPT-2's
    cutting; the model's own tokenizer.json splits single digits off first.
    """
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    path: Path = default_model_path()
    tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    backend = tokenizer.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), backend.pre_tokenizer]
    )
    return tokenizer
