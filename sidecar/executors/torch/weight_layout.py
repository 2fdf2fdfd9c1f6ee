"""The run-ready form of a model: which matrices it has, and what each is made of.

Matrices that multiply the same input lie one below the other, so that one
product does for several: queries, keys and values; gate and up.
"""

from dataclasses import dataclass

from sidecar.models.config import ModelConfig
from sidecar.models.names import EMBEDDING, HEAD

FINAL_NORM = "model.norm.weight"


@dataclass(frozen=True, slots=True)
class MatrixPart:
    """Rows that come from one tensor of the model file; `rotary_heads`: their heads, in q and k."""

    source: str
    rows: int
    rotary_heads: int = 0


@dataclass(frozen=True, slots=True)
class Matrix:
    """A run-ready matrix [rows, columns], its parts from the top down.

    The rows of a table stand for the tokens of the vocabulary.
    """

    name: str
    parts: tuple[MatrixPart, ...]
    columns: int
    has_bias: bool = False
    is_table: bool = False

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True, slots=True)
class LayerLayout:
    """The matrices of one decoder layer and the names of its norms; some have none of queries and keys."""

    qkv: Matrix
    output: Matrix
    gate_up: Matrix
    down: Matrix
    input_norm: str
    post_attention_norm: str
    query_norm: str | None
    key_norm: str | None


@dataclass(frozen=True, slots=True)
class ModelLayout:
    """Every weight of a model. `head` is None when the embedding serves as head."""

    embedding: Matrix
    layers: tuple[LayerLayout, ...]
    head: Matrix | None

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """All matrices, in the order of use."""
        inner = (
            matrix for layer in self.layers for matrix in (layer.qkv, layer.output, layer.gate_up, layer.down)
        )
        return (self.embedding, *inner, *([self.head] if self.head else []))


def model_layout(config: ModelConfig) -> ModelLayout:
    """The layout of a model of this shape."""
    hidden, vocabulary = config.hidden_size, config.vocab_size
    embedding = Matrix("embedding", (MatrixPart(EMBEDDING, vocabulary),), hidden, is_table=True)
    head = (
        None
        if config.tie_word_embeddings
        else Matrix("head", (MatrixPart(HEAD, vocabulary),), hidden, is_table=True)
    )
    layers = tuple(_layer_layout(config, index) for index in range(config.num_layers))
    return ModelLayout(embedding, layers, head)


def _layer_layout(config: ModelConfig, index: int) -> LayerLayout:
    source, target = f"model.layers.{index}.", f"layers.{index}."
    hidden, intermediate = config.hidden_size, config.intermediate_size
    heads, key_heads, head_dim = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    qkv = (
        MatrixPart(f"{source}self_attn.q_proj.weight", heads * head_dim, rotary_heads=heads),
        MatrixPart(f"{source}self_attn.k_proj.weight", key_heads * head_dim, rotary_heads=key_heads),
        MatrixPart(f"{source}self_attn.v_proj.weight", key_heads * head_dim),
    )
    output = MatrixPart(f"{source}self_attn.o_proj.weight", hidden)
    gate_up = (
        MatrixPart(f"{source}mlp.gate_proj.weight", intermediate),
        MatrixPart(f"{source}mlp.up_proj.weight", intermediate),
    )
    down = MatrixPart(f"{source}mlp.down_proj.weight", hidden)
    return LayerLayout(
        qkv=Matrix(f"{target}qkv", qkv, hidden, config.qkv_bias),
        output=Matrix(f"{target}output", (output,), heads * head_dim, config.attention_output_bias),
        gate_up=Matrix(f"{target}gate_up", gate_up, hidden, config.mlp_bias),
        down=Matrix(f"{target}down", (down,), intermediate, config.mlp_bias),
        input_norm=f"{source}input_layernorm.weight",
        post_attention_norm=f"{source}post_attention_layernorm.weight",
        query_norm=f"{source}self_attn.q_norm.weight" if config.query_key_norm else None,
        key_norm=f"{source}self_attn.k_norm.weight" if config.query_key_norm else None,
    )
