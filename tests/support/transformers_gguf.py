"""A transformers model written as GGUF, as llama.cpp's converter writes it (convert_hf_to_gguf.py)."""

from pathlib import Path

import gguf
import numpy as np
from transformers import PreTrainedModel

from tests.support.gguf_writer import add_tokenizer
from tests.support.tiny_tokenizer import tiny_tokenizer

_ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}


def write_gguf(model: PreTrainedModel, path: Path) -> Path:
    """Write the model in F32 with a tiny tokenizer and return `path`."""
    config = model.config
    architecture = _ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    if getattr(config, "sliding_window", None) is not None:
        writer.add_sliding_window(config.sliding_window)
    if config.rope_parameters["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_parameters["factor"])
    add_tokenizer(writer, tiny_tokenizer(config.vocab_size))
    for name, weight in _tensors(model, architecture).items():
        writer.add_tensor(name, np.ascontiguousarray(weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tensors(model: PreTrainedModel, architecture: gguf.MODEL_ARCH) -> dict[str, np.ndarray]:
    config = model.config
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    rotated = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    tensors = {}
    for name, parameter in model.named_parameters():
        weight: np.ndarray = parameter.detach().numpy()
        kind = name.split(".")[-2]
        if architecture is gguf.MODEL_ARCH.LLAMA and kind in rotated:
            weight = _interleaved(weight, rotated[kind])
        tensors[names.get_name(name, try_suffixes=(".weight", ".bias"))] = weight
    if config.rope_parameters["rope_type"] == "llama3":
        exponents = np.arange(0, config.head_dim, 2, dtype=np.float32) / np.float32(config.head_dim)
        plain = 1 / np.float32(config.rope_parameters["rope_theta"]) ** exponents
        tensors["rope_freqs.weight"] = plain / model.model.rotary_emb.inv_freq.numpy()
    return tensors


def _interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """The rows of each head with the two that a rotation turns together side by side."""
    halves = weight.reshape(heads, 2, -1, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)
