"""Tiny random llama models as Hugging Face folders."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from sidecar.models.names import canonical_name
from tests.support.gguf_writer import random_weights
from tests.support.tiny_tokenizer import CHAT_TEMPLATE, TURN_BEGIN, TURN_END, tiny_tokenizer


def write_tiny_llama_folder(
    folder: Path,
    *,
    layers: int = 2,
    hidden: int = 64,
    heads: int = 4,
    kv_heads: int = 2,
    intermediate: int = 128,
    vocab: int = 512,
    context_length: int = 256,
    seed: int = 0,
    tie: bool = True,
    shards: int = 1,
    config: dict[str, object] | None = None,
) -> Path:
    """Write a random llama model in float32 and return `folder`; `config` overrides config.json's fields."""
    folder.mkdir(parents=True, exist_ok=True)
    fields: dict[str, object] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab,
        "max_position_embeddings": context_length,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": tie,
        "bos_token_id": TURN_BEGIN,
        "eos_token_id": TURN_END,
        "torch_dtype": "float32",
        **(config or {}),
    }
    (folder / "config.json").write_text(json.dumps(fields))
    (folder / "tokenizer.json").write_text(tiny_tokenizer(vocab).json)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": CHAT_TEMPLATE, "eos_token": "<|im_end|>"})
    )
    weights = random_weights(layers, hidden, heads, kv_heads, intermediate, vocab, seed=seed, tie=tie)
    tensors = {canonical_name(name) or name: weight for name, weight in weights.items()}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    weight_map = {}
    names = sorted(tensors)
    for shard in range(shards):
        file_name = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part: dict[str, np.ndarray] = {name: tensors[name] for name in names[shard::shards]}
        save_file(part, folder / file_name)
        weight_map |= dict.fromkeys(part, file_name)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": 0}, "weight_map": weight_map})
    )
    return folder
