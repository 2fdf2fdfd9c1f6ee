"""Params that scenarios send, and what they look at in results."""

import random
from typing import Any

Fields = dict[str, Any]

PROMPT = "The history of the sea is"
COMPLETE = "generate.create"
CHAT = "chat.create"


def chat(said: str, **params: object) -> Fields:
    """A question; greedy."""
    return {"messages": [{"role": "user", "content": said}], "temperature": 0, **params}


def text(tokens: int, **params: object) -> Fields:
    """A completion of exactly so many tokens; greedy."""
    return {"prompt": PROMPT, "max_tokens": tokens, "ignore_eos": True, "temperature": 0, **params}


def endless(**params: object) -> Fields:
    """A completion that goes on as long as the context is, which takes many seconds."""
    return {"prompt": PROMPT, "ignore_eos": True, "temperature": 0, **params}


def long_prompt(tokens: int) -> list[int]:
    """A prompt that no cache knows."""
    choose = random.Random()
    return [choose.randrange(1_000, 40_000) for _ in range(tokens)]


def content(completion: Fields) -> str:
    """The text of a chat's first choice."""
    said: str = completion["choices"][0]["message"]["content"]
    return said


def completed(generation: Fields) -> str:
    """The text of a completion's first choice."""
    written: str = generation["choices"][0]["text"]
    return written
