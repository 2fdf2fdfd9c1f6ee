"""The default model in float32 against transformers with the same dequantized weights."""

from pathlib import Path

import pytest
import torch

from sidecar.executors.torch.dequantize import dequantize
from sidecar.executors.torch.linear.base import rotary_order
from sidecar.models.open import open_model
from sidecar.models.source import ModelSource
from sidecar.text.tokenizer import Tokenizer
from tests.support.default_model import default_model_path
from tests.support.torch_executor import greedy_tokens, load_executor
from tests.support.transformers_llama import llama_with_weights

TOKENS = 256
PROMPT = "The lighthouse keeper had not spoken to anyone for eleven days when"


def huggingface_weights(source: ModelSource) -> dict[str, torch.Tensor]:
    """The file's weights as float32, rows of q and k in Hugging Face's order."""
    heads = {
        "q_proj": source.config.num_attention_heads,
        "k_proj": source.config.num_key_value_heads,
    }
    weights = {}
    for name, stored in source.tensors.items():
        weight = dequantize(stored)
        kind = name.split(".")[-2]
        if kind in heads:
            weight = weight[rotary_order(len(weight), heads[kind])]
        weights[name] = weight.clone()
    return weights


@pytest.mark.model
def test_greedy_tokens_are_the_same(tmp_path: Path) -> None:
    source = open_model(default_model_path())
    prompt = Tokenizer.from_source(source.tokenizer).encode(PROMPT)
    reference = llama_with_weights(source.config, huggingface_weights(source))
    expected = reference.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
        do_sample=False,
        max_new_tokens=TOKENS,
        min_new_tokens=TOKENS,
        eos_token_id=None,
        pad_token_id=0,
    )[0, len(prompt) :].tolist()
    executor = load_executor(source, "float32", tmp_path)
    assert greedy_tokens(executor, prompt, TOKENS) == expected
