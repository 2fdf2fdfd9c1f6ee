"""The shape of a decoder model, as one plain record whatever file it came from."""

import enum
from dataclasses import dataclass, field


class DType(enum.Enum):
    """How the numbers of a stored tensor are written; the quantized ones are GGUF block formats."""

    F32 = "F32"
    F16 = "F16"
    BF16 = "BF16"
    I8 = "I8"
    Q4_0 = "Q4_0"
    Q4_1 = "Q4_1"
    Q5_0 = "Q5_0"
    Q5_1 = "Q5_1"
    Q8_0 = "Q8_0"
    Q4_K = "Q4_K"
    Q5_K = "Q5_K"
    Q6_K = "Q6_K"

    @property
    def block_elements(self) -> int:
        """Elements in one stored block (1 for plain types)."""
        return _BLOCKS[self][0]

    @property
    def block_bytes(self) -> int:
        """Bytes of one stored block."""
        return _BLOCKS[self][1]

    @property
    def is_quantized(self) -> bool:
        """Whether it is stored in blocks with scales."""
        return self.block_elements > 1


_BLOCKS = {
    DType.F32: (1, 4),
    DType.F16: (1, 2),
    DType.BF16: (1, 2),
    DType.I8: (1, 1),
    DType.Q4_0: (32, 18),
    DType.Q4_1: (32, 20),
    DType.Q5_0: (32, 22),
    DType.Q5_1: (32, 24),
    DType.Q8_0: (32, 34),
    DType.Q4_K: (256, 144),
    DType.Q5_K: (256, 176),
    DType.Q6_K: (256, 210),
}


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary position embedding. `scaling` is the model file's own record of it, checked by the executor."""

    theta: float = 10000.0
    rotary_dimensions: int | None = None
    scaling: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Shape of a decoder-only transformer; sizes in elements, lengths in tokens."""

    architecture: str
    """Family name, lower case: "llama", "mistral", "qwen2", "qwen3"."""
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    context_length: int
    rms_norm_epsilon: float
    rope: RopeConfig = field(default_factory=RopeConfig)
    tie_word_embeddings: bool = False
    qkv_bias: bool = False
    """Whether the projections to queries, keys and values have biases."""
    attention_output_bias: bool = False
    mlp_bias: bool = False
    query_key_norm: bool = False
    """Whether each head of the queries and keys goes through an RMSNorm before it is rotated."""
    sliding_window: int | None = None
    """In every layer a token sees so many positions, its own included; None: all before it."""
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()

    @property
    def parameter_count(self) -> int:
        """Weights in the embedding, the layers and the head."""
        query, key = self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        matrices = self.hidden_size * (2 * query + 2 * key + 3 * self.intermediate_size)
        biases = (
            self.qkv_bias * (query + 2 * key)
            + self.attention_output_bias * self.hidden_size
            + self.mlp_bias * (2 * self.intermediate_size + self.hidden_size)
        )
        norms = 2 * self.hidden_size + self.query_key_norm * 2 * self.head_dim
        embedding = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        return embedding + self.num_layers * (matrices + biases + norms) + self.hidden_size
