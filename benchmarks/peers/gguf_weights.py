"""A Llama GGUF file as a transformers model, every weight dequantized once.

`… gguf_weights SOURCE TARGET` writes it as a folder of bfloat16 safetensors.
"""

import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf.quants import dequantize
from transformers import LlamaConfig, LlamaForCausalLM

from sidecar.models.config import ModelConfig
from sidecar.models.names import canonical_name
from sidecar.models.open import open_model


def load_transformers_model(path: Path, dtype: torch.dtype) -> LlamaForCausalLM:
    """The model with its weights in `dtype`, ready for inference."""
    config = open_model(path).config
    with torch.device("meta"):
        model = LlamaForCausalLM(_transformers_config(config))
    weights = {}
    for tensor in gguf.GGUFReader(path).tensors:
        name = canonical_name(tensor.name)
        if name is not None:
            weights[name] = torch.from_numpy(_dequantized(tensor, config)).to(dtype)
    model.load_state_dict(weights, strict=not config.tie_word_embeddings, assign=True)
    model.tie_weights()
    # The rotary frequencies are computed, not stored, so the meta device has left them empty.
    model.model.rotary_emb = type(model.model.rotary_emb)(model.config)
    return model.eval()


def write_safetensors(source: Path, target: Path) -> None:
    """Weights and config; the folder appears under its name once it is complete."""
    unfinished = target.with_suffix(".unfinished")
    load_transformers_model(source, torch.bfloat16).save_pretrained(unfinished)
    unfinished.replace(target)


def _transformers_config(config: ModelConfig) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        max_position_embeddings=config.context_length,
        rms_norm_eps=config.rms_norm_epsilon,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope.theta},
        tie_word_embeddings=config.tie_word_embeddings,
        attn_implementation="sdpa",
    )


def _dequantized(tensor: Any, config: ModelConfig) -> np.ndarray:
    """Float32 weights in Hugging Face's row order."""
    weight = np.array(dequantize(tensor.data, tensor.tensor_type), np.float32)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for part, count in heads.items():
        if f".{part}.weight" in tensor.name:
            # GGUF stores the two halves of each rotary pair side by side.
            pairs = weight.reshape(count, config.head_dim // 2, 2, weight.shape[-1])
            weight = np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(weight.shape)
    return weight


if __name__ == "__main__":
    write_safetensors(Path(sys.argv[1]), Path(sys.argv[2]))
