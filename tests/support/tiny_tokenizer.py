"""A small, real byte-level BPE tokenizer with chat control tokens, trained on the spot on a few sentences."""

import json
from dataclasses import dataclass

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

NORMAL, CONTROL = 1, 3
CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
END_OF_TEXT, TURN_BEGIN, TURN_END = range(3)

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
    " + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

_CORPUS = (
    "The quick brown fox jumps over the lazy dog. Once upon a time there was a small model that could speak.",
    'def main(argument: int) -> int:\n    return argument + 1\n\n{"name": "value", "list": [1, 2, 3]}',
    "What is the capital of France? The capital of France is Paris. user assistant system",
    "Grüße aus Köln, ça va bien? 你好，世界。 こんにちは 🙂 It's what they'd want, isn't it?",
)


@dataclass(frozen=True, slots=True)
class TinyTokenizer:
    """What a GGUF file holds of a tokenizer, and the same as tokenizer.json."""

    tokens: list[str]
    token_types: list[int]
    merges: list[str]
    json: str
    model: str = "gpt2"
    pre: str = "smollm"
    bos_token_id: int = TURN_BEGIN
    eos_token_id: int = TURN_END
    chat_template: str | None = CHAT_TEMPLATE


def tiny_tokenizer(vocab: int = 512) -> TinyTokenizer:
    """A tokenizer of exactly `vocab` tokens (at least 259: three control tokens and every byte)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        min_frequency=1,
        show_progress=False,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    ids = tokenizer.get_vocab()
    if len(ids) > vocab:
        raise ValueError(f"vocab is {vocab}; it must be at least {len(ids)}")
    tokens = sorted(ids, key=lambda token: ids[token])
    padding = [f"<|reserved_{index}|>" for index in range(vocab - len(tokens))]
    tokenizer.add_special_tokens(padding)
    document = tokenizer.to_str()
    return TinyTokenizer(
        tokens=tokens + padding,
        token_types=[
            CONTROL if token in CONTROL_TOKENS or token in padding else NORMAL for token in tokens + padding
        ],
        merges=[" ".join(pair) for pair in json.loads(document)["model"]["merges"]],
        json=document,
    )
