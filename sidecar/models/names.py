"""Names and shapes of the weights of each supported architecture.

Canonical names are Hugging Face's. GGUF's names are those of llama.cpp
(gguf-py, `tensor_mapping.py`).
"""

import re
from collections.abc import Mapping
from pathlib import Path

from sidecar.errors import InvalidModelFile, Unsupported
from sidecar.models.config import DType, ModelConfig
from sidecar.models.source import StoredTensor

EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
ROPE_FREQUENCIES = "rope_freqs.weight"
"""Llama 3's per-frequency divisors, head_dim / 2 numbers; a GGUF tensor that has no Hugging Face name."""

_GGUF_GLOBAL = {
    "token_embd.weight": EMBEDDING,
    "output_norm.weight": "model.norm.weight",
    "output.weight": HEAD,
    ROPE_FREQUENCIES: ROPE_FREQUENCIES,
}
_GGUF_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k": "self_attn.k_proj",
    "attn_k_norm": "self_attn.k_norm",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_GGUF_LAYER_NAME = re.compile(r"blk\.(\d{1,4})\.([a-z_]+)\.(weight|bias)")
_IGNORED = re.compile(r"blk\.\d{1,4}\.attn_rot_embd(\.weight)?|.*\.rotary_emb\.inv_freq")
_NORM_DTYPES = (DType.F32, DType.F16, DType.BF16)


def canonical_name(gguf_name: str) -> str | None:
    """The canonical name of a GGUF tensor; None when the architecture has no such weight."""
    if gguf_name in _GGUF_GLOBAL:
        return _GGUF_GLOBAL[gguf_name]
    match = _GGUF_LAYER_NAME.fullmatch(gguf_name)
    if match is None or match[2] not in _GGUF_LAYER:
        return None
    return f"model.layers.{int(match[1])}.{_GGUF_LAYER[match[2]]}.{match[3]}"


def is_ignored(name: str) -> bool:
    """Whether a tensor holds what is computed anyway (old files store the rotary frequencies)."""
    return _IGNORED.fullmatch(name) is not None


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Canonical name to shape of every weight that a model of this config must have."""
    hidden, intermediate = config.hidden_size, config.intermediate_size
    query, key = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    projections = {
        "self_attn.q_proj": (query, hidden, config.qkv_bias),
        "self_attn.k_proj": (key, hidden, config.qkv_bias),
        "self_attn.v_proj": (key, hidden, config.qkv_bias),
        "self_attn.o_proj": (hidden, query, config.attention_output_bias),
        "mlp.gate_proj": (intermediate, hidden, config.mlp_bias),
        "mlp.up_proj": (intermediate, hidden, config.mlp_bias),
        "mlp.down_proj": (hidden, intermediate, config.mlp_bias),
    }
    shapes: dict[str, tuple[int, ...]] = {
        EMBEDDING: (config.vocab_size, hidden),
        "model.norm.weight": (hidden,),
    }
    if not config.tie_word_embeddings:
        shapes[HEAD] = (config.vocab_size, hidden)
    for layer in range(config.num_layers):
        prefix = f"model.layers.{layer}."
        shapes[f"{prefix}input_layernorm.weight"] = (hidden,)
        shapes[f"{prefix}post_attention_layernorm.weight"] = (hidden,)
        if config.query_key_norm:
            shapes[f"{prefix}self_attn.q_norm.weight"] = (config.head_dim,)
            shapes[f"{prefix}self_attn.k_norm.weight"] = (config.head_dim,)
        for name, (rows, columns, has_bias) in projections.items():
            shapes[f"{prefix}{name}.weight"] = (rows, columns)
            if has_bias:
                shapes[f"{prefix}{name}.bias"] = (rows,)
    return shapes


def check_tensors(path: Path, config: ModelConfig, tensors: Mapping[str, StoredTensor]) -> None:
    """Compare a model's tensors with what its config asks for.

    Raises InvalidModelFile naming the first missing or misshapen tensor, and
    Unsupported for a tensor the architecture does not know: leaving it out
    would silently give another model.
    """
    expected = expected_shapes(config)
    for name, shape in expected.items():
        tensor = tensors.get(name)
        if tensor is None:
            raise InvalidModelFile(path, f"has no tensor {name!r}; a {config.architecture} model needs it")
        if tensor.shape != shape:
            raise InvalidModelFile(
                path, f"tensor {name!r} has shape {tensor.shape}; the config asks for {shape}"
            )
        if len(shape) == 1 and tensor.dtype not in _NORM_DTYPES:
            raise InvalidModelFile(
                path, f"tensor {name!r} is stored as {tensor.dtype.value}; a vector must be a plain float"
            )
    for name, tensor in tensors.items():
        if name == ROPE_FREQUENCIES:
            half = (config.rope.rotary_dimensions or config.head_dim) // 2
            if tensor.shape != (half,) or tensor.dtype is not DType.F32:
                raise InvalidModelFile(path, f"tensor {name!r} must have {half} F32 numbers")
        elif name not in expected:
            raise Unsupported(
                f"{path}: tensor {name!r} is not part of a plain {config.architecture} model; "
                "this variant is not supported"
            )
