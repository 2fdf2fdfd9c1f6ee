"""Tiny random llama models as GGUF files."""

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
from gguf.quants import quantize

from tests.support.tiny_tokenizer import TinyTokenizer, tiny_tokenizer


def write_tiny_llama(
    path: Path,
    *,
    layers: int = 2,
    hidden: int = 64,
    heads: int = 4,
    kv_heads: int = 2,
    intermediate: int = 128,
    vocab: int = 512,
    context_length: int = 256,
    quantization: str = "F32",
    seed: int = 0,
    tie: bool = True,
    tokenizer: TinyTokenizer | None = None,
    extra_tensors: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Write a random llama model and return `path`.

    `quantization` (F32, F16, BF16, Q8_0, Q4_0, Q4_1 …, whatever gguf can
    quantize) is that of the matrices; norms are F32. The same seed gives the
    same float weights whatever the quantization.
    """
    tokenizer = tokenizer or tiny_tokenizer(vocab)
    head_dim = hidden // heads
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny random llama")
    writer.add_license("apache-2.0")
    writer.add_block_count(layers)
    writer.add_context_length(context_length)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(intermediate)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocab)
    add_tokenizer(writer, tokenizer)
    tensors = random_weights(layers, hidden, heads, kv_heads, intermediate, vocab, seed=seed, tie=tie)
    for name, weight in {**tensors, **(extra_tensors or {})}.items():
        kind = gguf.GGMLQuantizationType[quantization if weight.ndim == 2 else "F32"]
        writer.add_tensor(name, quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: TinyTokenizer) -> None:
    """The tokenizer's key-value pairs."""
    writer.add_tokenizer_model(tokenizer.model)
    writer.add_tokenizer_pre(tokenizer.pre)
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types(tokenizer.token_types)
    writer.add_token_merges(tokenizer.merges)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)
    if tokenizer.chat_template is not None:
        writer.add_chat_template(tokenizer.chat_template)


def random_weights(
    layers: int,
    hidden: int,
    heads: int,
    kv_heads: int,
    intermediate: int,
    vocab: int,
    *,
    seed: int,
    tie: bool,
) -> dict[str, np.ndarray]:
    """Float32 weights by GGUF name, scaled so that logits differ well from token to token."""
    generator = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (generator.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)

    def norm() -> np.ndarray:
        return (1 + 0.1 * generator.standard_normal(hidden)).astype(np.float32)

    key_rows = hidden // heads * kv_heads
    weights = {"token_embd.weight": matrix(vocab, hidden) * np.float32(4)}
    for layer in range(layers):
        weights |= {
            f"blk.{layer}.attn_norm.weight": norm(),
            f"blk.{layer}.attn_q.weight": matrix(hidden, hidden),
            f"blk.{layer}.attn_k.weight": matrix(key_rows, hidden),
            f"blk.{layer}.attn_v.weight": matrix(key_rows, hidden),
            f"blk.{layer}.attn_output.weight": matrix(hidden, hidden),
            f"blk.{layer}.ffn_norm.weight": norm(),
            f"blk.{layer}.ffn_gate.weight": matrix(intermediate, hidden),
            f"blk.{layer}.ffn_up.weight": matrix(intermediate, hidden),
            f"blk.{layer}.ffn_down.weight": matrix(hidden, intermediate),
        }
    weights["output_norm.weight"] = norm()
    if not tie:
        weights["output.weight"] = matrix(vocab, hidden)
    return weights
