"""Decoders of Llama's shape: Llama 2 and 3, SmolLM, Yi, Mistral, Qwen2 and Qwen3.

They differ in biases, in norms of the heads (Qwen3) and in how far a token sees
(Mistral's sliding window), which the config says and the plan of a step heeds.
Hidden states, norms and rotations are float32; products and the cache may have
a lower precision of their own. Touvron et al., "Llama 2" (2023); Jiang et al.,
"Mistral 7B" (2023); Yang et al., "Qwen2" (2024) and "Qwen3" (2025).
"""

import torch
from torch import Tensor

from sidecar.executors.torch.cache_engine import CacheEngine
from sidecar.executors.torch.models.layers import RMSNorm, swiglu
from sidecar.executors.torch.rope import Rotation, inverse_frequencies
from sidecar.executors.torch.step_plan import StepPlan
from sidecar.executors.torch.weight_layout import FINAL_NORM, LayerLayout, model_layout
from sidecar.executors.torch.weights import ModelWeights
from sidecar.models.config import ModelConfig
from sidecar.models.names import ROPE_FREQUENCIES


class DecoderModel:
    """Token ids to hidden states to logits."""

    def __init__(self, config: ModelConfig, weights: ModelWeights, device: torch.device) -> None:
        """Raises ModelLoadFailed or InvalidModelFile when weights are missing."""
        self.config = config
        layout = model_layout(config)
        divisors = weights.optional_vector(ROPE_FREQUENCIES)
        self.frequencies = inverse_frequencies(config, divisors).to(device)
        self.embedding = weights.table(layout.embedding)
        self.layers = [DecoderLayer(config, layer, weights) for layer in layout.layers]
        self.norm = RMSNorm(weights.vector(FINAL_NORM), config.rms_norm_epsilon)
        self.head = self.embedding if layout.head is None else weights.table(layout.head)

    def forward(self, plan: StepPlan, cache: CacheEngine) -> Tensor | None:
        """Hidden states float32 [tokens, hidden size] of the last layer; None if all rows are cancelled."""
        hidden = self.embedding.lookup(plan.token_ids)
        rotation = Rotation(plan.positions, self.frequencies)
        for index, layer in enumerate(self.layers):
            if plan.is_cancelled():
                return None
            layer.forward(index, hidden, rotation, plan, cache)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Raw logits float32 [tokens, vocabulary] of some hidden states."""
        return self.head(self.norm(hidden)).to(torch.float32)


class DecoderLayer:
    """Grouped-query attention and SwiGLU, each behind an RMSNorm and added to its input."""

    def __init__(self, config: ModelConfig, layout: LayerLayout, weights: ModelWeights) -> None:
        self.query_heads = config.num_attention_heads
        self.rotated_heads = config.num_attention_heads + config.num_key_value_heads
        self.head_dim = config.head_dim
        self.input_norm = RMSNorm(weights.vector(layout.input_norm), config.rms_norm_epsilon)
        self.head_norm = _head_norm(config, layout, weights)
        self.qkv = weights.matrix(layout.qkv)
        self.output = weights.matrix(layout.output)
        self.post_attention_norm = RMSNorm(
            weights.vector(layout.post_attention_norm), config.rms_norm_epsilon
        )
        self.gate_up = weights.matrix(layout.gate_up)
        self.down = weights.matrix(layout.down)

    def forward(
        self, index: int, hidden: Tensor, rotation: Rotation, plan: StepPlan, cache: CacheEngine
    ) -> None:
        """Update `hidden` float32 [tokens, hidden size] in place."""
        heads = self.qkv(self.input_norm(hidden)).to(torch.float32)
        heads = heads.view(hidden.shape[0], -1, self.head_dim)
        rotated = heads[:, : self.rotated_heads]
        if self.head_norm is not None:
            rotated.copy_(self.head_norm(rotated))
        rotation.apply(rotated)
        heads = heads.to(cache.dtype)
        cache.write(index, plan.slots, heads[:, self.query_heads :])
        attended = plan.attend(heads[:, : self.query_heads], cache.layers[index])
        hidden.add_(self.output(attended))
        hidden.add_(self.down(swiglu(self.gate_up(self.post_attention_norm(hidden)))))


def _head_norm(config: ModelConfig, layout: LayerLayout, weights: ModelWeights) -> RMSNorm | None:
    """The norm of queries and keys in one: a weight for every head."""
    if layout.query_norm is None or layout.key_norm is None:
        return None
    query = weights.vector(layout.query_norm).expand(config.num_attention_heads, -1)
    key = weights.vector(layout.key_norm).expand(config.num_key_value_heads, -1)
    return RMSNorm(torch.cat((query, key)), config.rms_norm_epsilon)
