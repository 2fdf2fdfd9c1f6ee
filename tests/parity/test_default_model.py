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
from tests.support.torch_executor import greedy_tokens, load_executor, logits_of, row
from tests.support.transformers_models import llama_with_weights

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


@pytest.mark.model
def test_company_in_a_batch_changes_no_logit(tmp_path: Path) -> None:
    """Teacher-forced: a prompt in chunks and then token by token, alone and among rows of other lengths."""
    source = open_model(default_model_path())
    tokens = Tokenizer.from_source(source.tokenizer).encode(PROMPT * 8)[:96]
    executor = load_executor(source, "float32", tmp_path)
    alone = logits_of(executor, row(tokens, blocks=range(6), samples=96))
    company = [
        row(tokens[:50], blocks=range(10, 14), samples=0, sampling=None),
        row(tokens[:7], blocks=[40], samples=0, sampling=None),
        row(tokens[:1], blocks=[41]),
    ]
    found = []
    for start, end in ((0, 33), (33, 90), *((position, position + 1) for position in range(90, 96))):
        asked = row(tokens[start:end], start=start, blocks=[22, 20, 25, 24, 23, 21], samples=end - start)
        found.append(logits_of(executor, *company, asked)[1:])
        company = [
            row(tokens[50:51], start=50, blocks=range(10, 14), samples=0, sampling=None),
            row(tokens[7:8], start=7, blocks=[40], samples=0, sampling=None),
            row(tokens[:1], blocks=[41]),
        ]
    assert float((torch.cat(found) - alone).abs().max()) <= 1e-3
