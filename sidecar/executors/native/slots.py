"""Where each of a model's tensors belongs in the C++ model: the numbers of native_slot in abi.h."""

from typing import NamedTuple

EMBEDDING_SLOT = 0
FREQUENCIES_SLOT = 21


class LayerSlot(NamedTuple):
    """A slot of a layer; layer 0 stands for what belongs to no layer."""

    layer: int
    slot: int


HEAD = LayerSlot(0, 1)
FINAL_NORM = LayerSlot(0, 9)

MATRICES = {
    "self_attn.q_proj": 2,
    "self_attn.k_proj": 3,
    "self_attn.v_proj": 4,
    "self_attn.o_proj": 5,
    "mlp.gate_proj": 6,
    "mlp.up_proj": 7,
    "mlp.down_proj": 8,
}
"""Canonical names of a layer's matrices, without ".weight"."""
PERMUTED = ("self_attn.q_proj", "self_attn.k_proj")
"""Those whose rows a GGUF file of a Llama has in another order."""
NORMS = {
    "input_layernorm": 10,
    "post_attention_layernorm": 11,
    "self_attn.q_norm": 12,
    "self_attn.k_norm": 13,
}
BIASES = {
    "self_attn.q_proj": 14,
    "self_attn.k_proj": 15,
    "self_attn.v_proj": 16,
    "self_attn.o_proj": 17,
    "mlp.gate_proj": 18,
    "mlp.up_proj": 19,
    "mlp.down_proj": 20,
}
