"""From a GGUF file's metadata to a ModelConfig and a TokenizerSource.

Key names are llama.cpp's (gguf-py, `constants.py`).
"""

from collections.abc import Sequence

from sidecar.errors import Unsupported
from sidecar.models.config import ModelConfig, RopeConfig
from sidecar.models.fields import Fields
from sidecar.models.gguf import GGUFFile
from sidecar.models.source import TokenizerSource

SUPPORTED_ARCHITECTURES = ("llama", "qwen2", "qwen3")
"""Mistral's models are "llama" here."""
PERMUTED_ARCHITECTURES = ("llama",)
"""Those whose files interleave the two numbers that a rotation turns together (see ModelSource)."""
MAX_LAYERS = 1024
CONTROL, USER_DEFINED = 3, 4
"""Token types."""

_MUST_BE_ABSENT = (
    "expert_count",
    "attention.sliding_window_pattern",
    "attention.clamp_kqv",
    "attention.max_alibi_bias",
    "logit_scale",
    "embedding_scale",
    "residual_scale",
    "attention.scale",
    "final_logit_softcapping",
    "attn_logit_softcapping",
)
_QWEN = ("qwen2", "qwen3")
_BOS_BY_DEFAULT = ("llama-bpe", "llama3", "llama-v3", "falcon3", "tekken", "chameleon")
_END_OF_TURN = ("<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<EOT>")
"""What ends a turn in files older than the key for it."""


def model_config(file: GGUFFile, tokenizer: TokenizerSource) -> ModelConfig:
    """The model's shape; `tokenizer` gives the ids that end a text.

    Raises Unsupported for another architecture, InvalidModelFile for bad values.
    """
    fields = Fields(file.path, file.metadata)
    architecture = fields.string("general.architecture")
    if architecture not in SUPPORTED_ARCHITECTURES:
        raise Unsupported(
            f"{file.path}: architecture {architecture!r} is not supported; "
            f"supported: {', '.join(SUPPORTED_ARCHITECTURES)}"
        )
    for name in _MUST_BE_ABSENT:
        if fields.values.get(f"{architecture}.{name}"):
            raise Unsupported(f"{file.path}: {architecture} models with {name!r} are not supported")

    def size(name: str, default: int | None = None, *, low: int = 1) -> int:
        return fields.integer(f"{architecture}.{name}", default, low=low)

    hidden, heads = size("embedding_length"), size("attention.head_count")
    head_dim = size("attention.key_length", hidden // heads or 1)
    key_value_heads = size("attention.head_count_kv", heads)
    if heads % key_value_heads:
        raise fields.wrong(f"{architecture}.attention.head_count_kv", f"a divisor of {heads} heads")
    if size("attention.value_length", head_dim) != head_dim:
        raise Unsupported(f"{file.path}: values of another size than keys ({head_dim}) are not supported")
    rotary = size("rope.dimension_count", head_dim)
    if rotary > head_dim or rotary % 2:
        raise fields.wrong(f"{architecture}.rope.dimension_count", f"even and at most {head_dim}")
    window = size("attention.sliding_window", 0, low=0)
    embedding = file.tensors.get("token_embd.weight")
    vocab_size = size("vocab_size", embedding.shape[0] if embedding else None)
    context_length = size("context_length")
    return ModelConfig(
        architecture=architecture,
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=size("feed_forward_length"),
        num_layers=fields.integer(f"{architecture}.block_count", high=MAX_LAYERS),
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        head_dim=head_dim,
        context_length=context_length,
        rms_norm_epsilon=fields.number(f"{architecture}.attention.layer_norm_rms_epsilon"),
        rope=RopeConfig(
            theta=fields.number(f"{architecture}.rope.freq_base", 10000.0),
            rotary_dimensions=rotary,
            scaling=_rope_scaling(fields, architecture, context_length),
        ),
        tie_word_embeddings="output.weight" not in file.tensors,
        qkv_bias="blk.0.attn_q.bias" in file.tensors,
        attention_output_bias="blk.0.attn_output.bias" in file.tensors,
        mlp_bias="blk.0.ffn_up.bias" in file.tensors,
        query_key_norm=architecture == "qwen3",
        sliding_window=window if 0 < window < context_length else None,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_ids=tokenizer.eos_token_ids,
    )


def tokenizer_source(file: GGUFFile) -> TokenizerSource:
    """The tokenizer's fields as they stand in the file; the text layer judges whether it can use them."""
    fields = Fields(file.path, file.metadata)
    model = fields.string("tokenizer.ggml.model", "")
    is_qwen = file.metadata.get("general.architecture") in _QWEN
    # Files older than the key: Qwen's models had one way from the start.
    pre = fields.string("tokenizer.ggml.pre", "qwen2" if is_qwen and model == "gpt2" else "")
    tokens = fields.strings("tokenizer.ggml.tokens")
    is_sentencepiece = model == "llama"
    token_types = fields.integers("tokenizer.ggml.token_type")
    source = TokenizerSource(
        model=model,
        pre=pre,
        tokens=tokens,
        token_types=token_types,
        scores=fields.numbers("tokenizer.ggml.scores"),
        merges=fields.strings("tokenizer.ggml.merges"),
        add_bos=fields.boolean("tokenizer.ggml.add_bos_token", is_sentencepiece or pre in _BOS_BY_DEFAULT),
        add_space_prefix=fields.boolean("tokenizer.ggml.add_space_prefix", is_sentencepiece),
        bos_token_id=_token_id(fields, "bos", len(tokens)),
        eos_token_ids=_eos_token_ids(fields, tokens, token_types, is_qwen),
        unknown_token_id=_token_id(fields, "unknown", len(tokens)),
    )
    for name in ("token_types", "scores"):
        length = len(getattr(source, name))
        if length not in (0, len(tokens)):
            raise fields.wrong(f"tokenizer.ggml.{name.removesuffix('s')}", f"{len(tokens)} numbers")
    return source


def _token_id(fields: Fields, role: str, vocab_size: int) -> int | None:
    key = f"tokenizer.ggml.{role}_token_id"
    return fields.integer(key, low=0, high=max(0, vocab_size - 1)) if fields.has(key) else None


def _eos_token_ids(
    fields: Fields, tokens: Sequence[str], token_types: Sequence[int], is_qwen: bool
) -> tuple[int, ...]:
    found = [_token_id(fields, role, len(tokens)) for role in ("eos", "eot", "eom")]
    if found[1] is None:
        found[1] = _control_token(tokens, token_types, _END_OF_TURN)
    if is_qwen:
        # Its chat models end with either; the file names one of the two, generation_config.json both.
        found.append(_control_token(tokens, token_types, ("<|endoftext|>",)))
    return tuple(dict.fromkeys(token_id for token_id in found if token_id is not None))


def _control_token(tokens: Sequence[str], token_types: Sequence[int], texts: Sequence[str]) -> int | None:
    """The first of the control tokens with these texts that there is; llama.cpp too finds them so."""
    for text in texts:
        if text in tokens:
            token_id = tokens.index(text)
            if token_id < len(token_types) and token_types[token_id] == CONTROL:
                return token_id
    return None


def _rope_scaling(fields: Fields, architecture: str, context_length: int) -> dict[str, object]:
    """RoPE scaling in Hugging Face's words: rope_type, factor, original_max_position_embeddings."""
    prefix = f"{architecture}.rope.scaling."
    kind = fields.string(f"{prefix}type", "linear" if fields.has(f"{architecture}.rope.scale_linear") else "")
    if kind in ("", "none"):
        return {}
    if fields.has(f"{prefix}factor"):
        factor = fields.number(f"{prefix}factor")
    else:
        factor = fields.number(f"{architecture}.rope.scale_linear", 1.0)
    scaling: dict[str, object] = {"rope_type": kind, "factor": factor}
    if fields.has(f"{prefix}original_context_length"):
        scaling["original_max_position_embeddings"] = fields.integer(f"{prefix}original_context_length")
    elif kind == "yarn":
        scaling["original_max_position_embeddings"] = context_length
    if fields.has(f"{prefix}attn_factor"):
        scaling["attention_factor"] = fields.number(f"{prefix}attn_factor")
    return scaling
