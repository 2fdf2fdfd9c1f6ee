"""Writes a Llama model with random weights as a GGUF file, tensor by tensor.

Speed does not depend on what the weights say, so this stands in for models
that are too large to ship. The file is complete: llama.cpp and the sidecar
both load it, tokenizer included. Block layouts are ggml's (ggml-common.h).
"""

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

from benchmarks.folders import CACHE_DIR

CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
NORMAL, CONTROL = 1, 3
MOSTLY_Q4_1 = 3
"""ggml's number of the file type."""
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
    " + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_Q4_1_BLOCK = np.dtype([("scale", "<f2"), ("minimum", "<f2"), ("nibbles", "u1", 16)])
_Q8_0_BLOCK = np.dtype([("scale", "<f2"), ("values", "i1", 32)])


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes in elements, lengths in tokens; the head is tied to the embedding."""

    layers: int
    width: int
    heads: int
    key_value_heads: int
    intermediate: int
    vocabulary: int
    context_length: int = 8192

    @property
    def head_width(self) -> int:
        """Elements of one attention head."""
        return self.width // self.heads


LLAMA_1_4B = ModelShape(28, 1536, 12, 2, 8960, 65536)
"""The shape of Qwen2-1.5B with a vocabulary of 65,536: 1.41 billion weights, 926 MB."""


def write_random_model(path: Path, shape: ModelShape = LLAMA_1_4B, *, seed: int = 0) -> Path:
    """Write the model to `path` and return it: matrices Q4_1, embedding Q8_0, norms F32.

    No more than one tensor is in memory. The file appears under its name once
    it is complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    writer = gguf.GGUFWriter(unfinished, "llama")
    _add_metadata(writer, shape, path.stem)
    _add_tokenizer(writer, shape.vocabulary)
    tensors = _tensors(shape)
    for name, rows, columns, kind in tensors:
        dimensions = (columns,) if rows == 1 else (rows, columns)
        byte_count = rows * _row_bytes(columns, kind)
        writer.add_tensor_info(name, dimensions, np.dtype(np.float32), byte_count, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    generator = np.random.default_rng(seed)
    for _, rows, columns, kind in tensors:
        writer.write_tensor_data(_random_tensor(generator, rows, columns, kind))
    writer.close()
    unfinished.replace(path)
    return path


def _add_metadata(writer: gguf.GGUFWriter, shape: ModelShape, name: str) -> None:
    writer.add_name(name)
    writer.add_license("cc0-1.0")
    writer.add_file_type(MOSTLY_Q4_1)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context_length)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.intermediate)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.key_value_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape.vocabulary)


def _add_tokenizer(writer: gguf.GGUFWriter, vocabulary: int) -> None:
    """Byte-level BPE of control tokens, the 256 bytes, and as many pairs of bytes as there is room for."""
    letters = _byte_letters()
    room = vocabulary - len(CONTROL_TOKENS) - len(letters)
    if not 0 < room <= len(letters) ** 2:
        raise ValueError(f"vocabulary is {vocabulary}; it must be from 260 to 65,795")
    pairs = list(itertools.islice(itertools.product(letters, repeat=2), room))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([*CONTROL_TOKENS, *letters, *(first + second for first, second in pairs)])
    writer.add_token_types([CONTROL] * len(CONTROL_TOKENS) + [NORMAL] * (len(letters) + room))
    writer.add_token_merges([f"{first} {second}" for first, second in pairs])
    writer.add_bos_token_id(CONTROL_TOKENS.index("<|im_start|>"))
    writer.add_eos_token_id(CONTROL_TOKENS.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _byte_letters() -> list[str]:
    """The letter that stands for each byte in a GPT-2 vocabulary: itself if it prints, or one from 256 on."""
    printing = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = itertools.count(256)
    return [chr(byte) if byte in printing else chr(next(spare)) for byte in range(256)]


def _tensors(shape: ModelShape) -> list[tuple[str, int, int, gguf.GGMLQuantizationType]]:
    """Name, rows, columns and type of every tensor, in the file's order."""
    matrix, embedding, norm = (
        gguf.GGMLQuantizationType.Q4_1,
        gguf.GGMLQuantizationType.Q8_0,
        gguf.GGMLQuantizationType.F32,
    )
    width, intermediate = shape.width, shape.intermediate
    key_width = shape.head_width * shape.key_value_heads
    tensors = [
        ("token_embd.weight", shape.vocabulary, width, embedding),
        ("output_norm.weight", 1, width, norm),
    ]
    for layer in range(shape.layers):
        prefix = f"blk.{layer}."
        tensors += [
            (f"{prefix}attn_norm.weight", 1, width, norm),
            (f"{prefix}attn_q.weight", width, width, matrix),
            (f"{prefix}attn_k.weight", key_width, width, matrix),
            (f"{prefix}attn_v.weight", key_width, width, matrix),
            (f"{prefix}attn_output.weight", width, width, matrix),
            (f"{prefix}ffn_norm.weight", 1, width, norm),
            (f"{prefix}ffn_gate.weight", intermediate, width, matrix),
            (f"{prefix}ffn_up.weight", intermediate, width, matrix),
            (f"{prefix}ffn_down.weight", width, intermediate, matrix),
        ]
    return tensors


def _row_bytes(columns: int, kind: gguf.GGMLQuantizationType) -> int:
    block_elements, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    if columns % block_elements:
        raise ValueError(f"a row has {columns} elements; {kind.name} needs a multiple of {block_elements}")
    return columns // block_elements * block_bytes


def _random_tensor(
    generator: np.random.Generator, rows: int, columns: int, kind: gguf.GGMLQuantizationType
) -> np.ndarray:
    """One tensor. A matrix has a standard deviation of about 1 / sqrt(columns), so that nothing explodes."""
    if kind == gguf.GGMLQuantizationType.F32:
        return np.ones(columns, np.float32)
    blocks = rows * _row_bytes(columns, kind) // gguf.GGML_QUANT_SIZES[kind][1]
    # Uniform numbers from -limit to limit deviate by limit / sqrt(3). Scales differ from block to block.
    limit = np.sqrt(3 / columns) * generator.uniform(0.8, 1.2, blocks)
    if kind == gguf.GGMLQuantizationType.Q4_1:
        tensor = np.empty(blocks, _Q4_1_BLOCK)
        tensor["scale"], tensor["minimum"] = limit * (2 / 15), -limit
        tensor["nibbles"] = generator.integers(0, 256, (blocks, 16), np.uint8)
    else:
        tensor = np.empty(blocks, _Q8_0_BLOCK)
        tensor["scale"] = limit * (4 / 127)
        tensor["values"] = generator.integers(-127, 127, (blocks, 32), np.int8, endpoint=True)
    return tensor


def random_model_path() -> Path:
    """The 1.4B-shaped model in this tree's cache, written if it is not there yet."""
    path = CACHE_DIR / "random-llama-1.4b.Q4_1.gguf"
    return path if path.exists() else write_random_model(path)


def main() -> None:
    """Write the 1.4B-shaped model, by default into the tree's cache."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("path", type=Path, nargs="?", help="where to write it")
    path = parser.parse_args().path
    written = write_random_model(path) if path else random_model_path()
    print(f"{written}: {written.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
