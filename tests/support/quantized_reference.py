"""What the native executor should compute, written as plainly as torch allows.

Weights as the file's numbers mean them; every product's input rounded to int8 in
groups of 32 along the columns, each token for itself; keys and values rounded to
float16. Products are summed in float64, so that only the rule is compared, not an
order of summing.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from sidecar.executors.rope import inverse_frequencies
from sidecar.executors.torch.dequantize import dequantize
from sidecar.models.names import EMBEDDING, HEAD, ROPE_FREQUENCIES
from sidecar.models.source import ModelSource

GROUP = 32


class QuantizedReference:
    """A Llama-shaped model; weights are made float64 once."""

    def __init__(self, source: ModelSource) -> None:
        self.source = source
        self.config = source.config
        self.weights = {name: self._weight(name) for name in source.tensors if name != ROPE_FREQUENCIES}
        divisors = source.tensors.get(ROPE_FREQUENCIES)
        listed = None if divisors is None else dequantize(divisors).tolist()
        self.frequencies = torch.tensor(inverse_frequencies(self.config, listed))

    def logits(self, token_ids: Sequence[int]) -> Tensor:
        """Raw logits [tokens, vocabulary] of one sequence."""
        config = self.config
        hidden = self.weights[EMBEDDING][list(token_ids)]
        angles = torch.arange(len(token_ids), dtype=torch.float32)[:, None] * self.frequencies
        for layer in range(config.num_layers):
            prefix = f"model.layers.{layer}."
            normed = self._norm(hidden, f"{prefix}input_layernorm")
            attended = self._attention(normed, f"{prefix}self_attn.", angles)
            hidden = hidden + self._product(attended, f"{prefix}self_attn.o_proj")
            normed = self._norm(hidden, f"{prefix}post_attention_layernorm")
            gate = self._product(normed, f"{prefix}mlp.gate_proj")
            gated = torch.nn.functional.silu(gate) * self._product(normed, f"{prefix}mlp.up_proj")
            hidden = hidden + self._product(gated, f"{prefix}mlp.down_proj")
        normed = round_activations(self._norm(hidden, "model.norm"))
        return normed @ self.weights.get(HEAD, self.weights[EMBEDDING]).T

    def _attention(self, normed: Tensor, prefix: str, angles: Tensor) -> Tensor:
        config = self.config
        tokens = normed.shape[0]
        query, key, value = (
            self._product(normed, f"{prefix}{name}_proj").view(tokens, -1, config.head_dim) for name in "qkv"
        )
        if config.query_key_norm:
            query = self._norm(query, f"{prefix}q_norm")
            key = self._norm(key, f"{prefix}k_norm")
        key = _rotate(key, angles).to(torch.float16).to(torch.float64)
        value = value.to(torch.float16).to(torch.float64)
        repeats = config.num_attention_heads // config.num_key_value_heads
        key, value = (part.repeat_interleave(repeats, dim=1) for part in (key, value))
        scores = torch.einsum("qhd,khd->hqk", _rotate(query, angles), key) / config.head_dim**0.5
        age = torch.arange(tokens)[:, None] - torch.arange(tokens)
        unseen = (age < 0) | (age >= (config.sliding_window or tokens))
        weights = scores.masked_fill(unseen, float("-inf")).softmax(dim=-1)
        return torch.einsum("hqk,khd->qhd", weights, value).reshape(tokens, -1)

    def _product(self, inputs: Tensor, name: str) -> Tensor:
        result = round_activations(inputs) @ self.weights[f"{name}.weight"].T
        bias = self.weights.get(f"{name}.bias")
        return result if bias is None else result + bias

    def _norm(self, inputs: Tensor, name: str) -> Tensor:
        mean = inputs.square().mean(dim=-1, keepdim=True)
        return inputs / (mean + self.config.rms_norm_epsilon).sqrt() * self.weights[f"{name}.weight"]

    def _weight(self, name: str) -> Tensor:
        weight = dequantize(self.source.tensors[name]).to(torch.float64)
        permuted = {"q_proj": self.config.num_attention_heads, "k_proj": self.config.num_key_value_heads}
        heads = next((count for part, count in permuted.items() if f".{part}." in name), 0)
        if not heads or not self.source.permuted_qk:
            return weight
        pairs = weight.view(heads, weight.shape[0] // heads // 2, 2, *weight.shape[1:])
        return pairs.transpose(1, 2).reshape(weight.shape)


def round_activations(inputs: Tensor) -> Tensor:
    """Each token's numbers in groups of 32, the largest of a group being 127 steps."""
    padded = torch.nn.functional.pad(inputs, (0, -inputs.shape[-1] % GROUP))
    groups = padded.to(torch.float32).unflatten(-1, (-1, GROUP))
    largest = groups.abs().amax(dim=-1, keepdim=True)
    codes = (groups * torch.where(largest > 0, 127 / largest, 0)).round()
    rounded = codes.to(torch.float64) * (largest / 127).to(torch.float64)
    return rounded.flatten(-2)[..., : inputs.shape[-1]]


def _rotate(heads: Tensor, angles: Tensor) -> Tensor:
    """Turn the pairs (i, i + half) of [tokens, heads, head_dim]."""
    half = angles.shape[-1]
    first, second, rest = heads[..., :half], heads[..., half : 2 * half], heads[..., 2 * half :]
    cosines, sines = angles.cos()[:, None].double(), angles.sin()[:, None].double()
    turned = (first * cosines - second * sines, second * cosines + first * sines)
    return torch.cat((*turned, rest), dim=-1)
