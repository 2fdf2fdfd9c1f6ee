"""embeddings.*: vectors of texts."""

from typing import Annotated, Literal

import msgspec

from sidecar_protocol.base import Params, Result
from sidecar_protocol.registry import method

EmbeddingText = str | list[int]
"""A text, or its token ids."""
EmbeddingInput = str | list[EmbeddingText]
"""One text, or several; one list of token ids is one text."""
EncodingFormat = Literal["float", "bin"]
"""A list of numbers, or their bytes."""
Vector = bytes | list[float]
"""float32 numbers, little-endian, or a list of numbers."""


class EmbeddingUsage(Result):
    """Tokens counted, as OpenAI names them."""

    prompt_tokens: int
    total_tokens: int


class Embedding(Result):
    """The vector of one text."""

    object: Literal["embedding"]
    index: int
    """Which of the texts it belongs to."""
    embedding: Vector


class EmbeddingList(Result):
    """The vectors, in the order of the texts."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage


def normalise_embedding_input(params: object) -> object:
    """A list of token ids is one text of several possible; the others come as a list already."""
    if not isinstance(params, dict):
        return params
    texts = params.get("input")
    if isinstance(texts, list) and texts and all(type(item) is int for item in texts):
        return {**params, "input": [texts]}
    return params


@method(
    "embeddings.create",
    result=EmbeddingList,
    errors=("not_found", "model_load_failed", "context_overflow", "out_of_memory"),
    cancellable=True,
    capability="embeddings",
    normalise=normalise_embedding_input,
)
class EmbeddingsCreate(Params):
    """Turn texts into vectors."""

    input: EmbeddingInput
    model: str = "default"
    encoding_format: EncodingFormat = "float"
    dimensions: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Shorten the vectors to this length, for models trained for it."""
