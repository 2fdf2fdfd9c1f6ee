"""A model on disk as every other room sees it, whatever its file format."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.models.config import DType, ModelConfig


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as it lies in the file: row-major, `shape` outermost first, `data` a view of the mapping."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    data: memoryview


@dataclass(frozen=True, slots=True)
class TokenizerSource:
    """What a tokenizer is made from.

    `json_path` for a Hugging Face tokenizer.json; otherwise the GGUF fields.
    """

    json_path: Path | None = None
    model: str = ""
    pre: str = ""
    tokens: tuple[str, ...] = ()
    token_types: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    merges: tuple[str, ...] = ()
    add_bos: bool = False
    add_space_prefix: bool = False
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()
    unknown_token_id: int | None = None


@dataclass(frozen=True, slots=True)
class ModelSource:
    """An opened model: nothing is copied, tensors are views of memory-mapped files.

    `tensors` is keyed by canonical names, which are Hugging Face's
    ("model.layers.0.self_attn.q_proj.weight", "lm_head.weight" absent when tied).
    `permuted_qk` says that the rows of q_proj and k_proj are in GGUF's rotary
    order (pairs interleaved) and must be put back.
    """

    path: Path
    file_format: str
    """"gguf" or "safetensors"."""
    config: ModelConfig
    tensors: Mapping[str, StoredTensor]
    tokenizer: TokenizerSource
    chat_template: str | None = None
    permuted_qk: bool = False
    metadata: Mapping[str, object] = field(default_factory=dict)
    """Small facts for people: name, license, file type."""
