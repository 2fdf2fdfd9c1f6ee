"""From a Hugging Face model folder's JSON files to a ModelConfig.

Where config.json is silent, its meaning is that of transformers' own defaults.
"""

from sidecar.errors import Unsupported
from sidecar.models.config import ModelConfig, RopeConfig
from sidecar.models.fields import Fields
from sidecar.models.gguf_config import MAX_LAYERS

MAX_END_TOKENS = 64

_ARCHITECTURES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}
_CONTEXT_LENGTHS = {"llama": 2048, "mistral": 131072, "qwen2": 32768, "qwen3": 32768}
_HEAD_DIMENSIONS = {"qwen3": 128}
_WINDOW = 4096
_MAX_WINDOW_LAYERS = 28
_WHOLE, _WINDOWED = "full_attention", "sliding_attention"


def model_config(fields: Fields, generation: Fields) -> ModelConfig:
    """The shape that config.json gives; `generation` is generation_config.json, which may be empty.

    Raises Unsupported for another architecture, InvalidModelFile for bad values.
    """
    architecture = _architecture(fields)
    hidden, heads = fields.integer("hidden_size"), fields.integer("num_attention_heads")
    head_dim = fields.integer("head_dim", _HEAD_DIMENSIONS.get(architecture, hidden // heads or 1))
    key_value_heads = fields.integer("num_key_value_heads", heads)
    if heads % key_value_heads:
        raise fields.wrong("num_key_value_heads", f"a divisor of {heads} heads")
    layers = fields.integer("num_hidden_layers", high=MAX_LAYERS)
    vocab_size = fields.integer("vocab_size")
    context_length = fields.integer("max_position_embeddings", _CONTEXT_LENGTHS[architecture])
    window = _sliding_window(fields, architecture, layers)
    attention_bias = architecture in ("llama", "qwen3") and fields.boolean("attention_bias", False)
    bos = fields.integers("bos_token_id")
    return ModelConfig(
        architecture=architecture,
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=fields.integer("intermediate_size"),
        num_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        head_dim=head_dim,
        context_length=context_length,
        rms_norm_epsilon=fields.number("rms_norm_eps", 1e-6),
        rope=_rope(fields, head_dim),
        tie_word_embeddings=fields.boolean("tie_word_embeddings", False),
        qkv_bias=attention_bias or architecture == "qwen2",
        attention_output_bias=attention_bias,
        mlp_bias=architecture == "llama" and fields.boolean("mlp_bias", False),
        query_key_norm=architecture == "qwen3",
        sliding_window=window if window is not None and window < context_length else None,
        bos_token_id=bos[0] if bos and 0 <= bos[0] < vocab_size else None,
        eos_token_ids=_eos_token_ids(fields, generation, vocab_size),
    )


def _architecture(fields: Fields) -> str:
    [named, *_] = fields.strings("architectures") or ("",)
    if named not in _ARCHITECTURES:
        raise Unsupported(
            f"{fields.path}: architecture {named or 'unnamed'!r} is not supported; "
            f"supported: {', '.join(_ARCHITECTURES)}"
        )
    if fields.has("quantization_config"):
        method = fields.part("quantization_config").values.get("quant_method", "unknown")
        raise Unsupported(
            f"{fields.path}: weights quantized with {method!r} are not supported; "
            "take the unquantized model or a GGUF file"
        )
    activation = fields.string("hidden_act", "silu")
    if activation != "silu":
        raise Unsupported(f"{fields.path}: the activation {activation!r} is not supported; supported: silu")
    return _ARCHITECTURES[named]


def _sliding_window(fields: Fields, architecture: str, layers: int) -> int | None:
    """The window of all layers. Raises Unsupported when only some have one."""
    is_optional = architecture in ("qwen2", "qwen3")
    if architecture == "llama" or (is_optional and not fields.boolean("use_sliding_window", False)):
        return None
    if "sliding_window" in fields.values and not fields.has("sliding_window"):
        return None
    window = fields.integer("sliding_window", _WINDOW)
    whole = min(layers, fields.integer("max_window_layers", _MAX_WINDOW_LAYERS, low=0)) if is_optional else 0
    kinds = fields.strings("layer_types") or (_WHOLE,) * whole + (_WINDOWED,) * (layers - whole)
    if set(kinds) == {_WHOLE}:
        return None
    if set(kinds) != {_WINDOWED}:
        raise Unsupported(
            f"{fields.path}: a sliding window ({window} tokens) in some layers alone is not supported"
        )
    return window


def _eos_token_ids(fields: Fields, generation: Fields, vocab_size: int) -> tuple[int, ...]:
    found = tuple(dict.fromkeys((*fields.integers("eos_token_id"), *generation.integers("eos_token_id"))))
    if len(found) > MAX_END_TOKENS or any(not 0 <= token_id < vocab_size for token_id in found):
        raise fields.wrong("eos_token_id", f"up to {MAX_END_TOKENS} ids below {vocab_size}")
    return found


def _rope(fields: Fields, head_dim: int) -> RopeConfig:
    """`rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling`."""
    newer = fields.part("rope_parameters")
    scaling = dict(newer.values or fields.part("rope_scaling").values)
    if "type" in scaling:
        scaling.setdefault("rope_type", scaling.pop("type"))
    theta = newer.number("rope_theta", fields.number("rope_theta", 10000.0))
    partial = newer.number("partial_rotary_factor", fields.number("partial_rotary_factor", 1.0))
    for key in ("rope_theta", "partial_rotary_factor"):
        scaling.pop(key, None)
    if scaling.get("rope_type", "default") == "default":
        scaling = {}
    rotary = int(head_dim * partial)
    if not 2 <= rotary <= head_dim or rotary % 2:
        raise fields.wrong("partial_rotary_factor", f"such that an even part of {head_dim} is rotated")
    return RopeConfig(theta=theta, rotary_dimensions=rotary, scaling=scaling)
