"""transformers' decoders as the measure of ours: tiny random models, and one from given weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from sidecar.models.config import ModelConfig


def random_model(architecture: str, *, seed: int = 0, **fields: object) -> PreTrainedModel:
    """A float32 model of an architecture ("llama", "qwen3" …) with random weights, norms and biases."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        architecture,
        **{
            "vocab_size": 320,
            "hidden_size": 64,
            "intermediate_size": 160,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "max_position_embeddings": 512,
            "rms_norm_eps": 1e-5,
            "initializer_range": 0.2,
            "tie_word_embeddings": False,
            "bos_token_id": 1,
            "eos_token_id": 2,
            **fields,
        },
    )
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config).to(torch.float32).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "bias" in name:
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model


def llama_with_weights(config: ModelConfig, weights: Mapping[str, torch.Tensor]) -> LlamaForCausalLM:
    """A float32 model of this shape with these weights, by canonical name."""
    with torch.device("meta"):
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=config.vocab_size,
                hidden_size=config.hidden_size,
                intermediate_size=config.intermediate_size,
                num_hidden_layers=config.num_layers,
                num_attention_heads=config.num_attention_heads,
                num_key_value_heads=config.num_key_value_heads,
                head_dim=config.head_dim,
                max_position_embeddings=config.context_length,
                rms_norm_eps=config.rms_norm_epsilon,
                rope_theta=config.rope.theta,
                tie_word_embeddings=config.tie_word_embeddings,
            )
        )
    missing, unexpected = model.load_state_dict(dict(weights), strict=False, assign=True)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    model.tie_weights()
    rotary = type(model.model.rotary_emb)(model.config)
    model.model.rotary_emb = rotary
    return model.to(torch.float32).eval()


def folder_of(model: PreTrainedModel, folder: Path) -> Path:
    """Save as config.json and model.safetensors."""
    model.save_pretrained(folder)
    return folder


@torch.inference_mode()
def reference_logits(model: PreTrainedModel, token_ids: Sequence[int]) -> torch.Tensor:
    """Logits float32 [tokens, vocabulary] of one sequence."""
    logits: torch.Tensor = model(torch.tensor([list(token_ids)])).logits[0].to(torch.float32)
    return logits
