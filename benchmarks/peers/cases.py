"""What is measured: one record a case, the same for every contestant. Standard library alone."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

WARM_UP_STEPS = 4
"""Decode steps before the clock starts."""
FIRST_PLAIN_TOKEN = 300
"""Random prompts use ids from here on: below lie control tokens and single bytes."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    "decode": `streams` greedy continuations side by side, each after a prompt of
    `context` tokens of its own; `steps` steps are timed, the prompts are not.
    "prefill": a prompt of `context` tokens that no cache has seen, until its
    first token is chosen; `steps` such prompts one after another.
    "requests": `streams` requests at once, prompts as for "prefill", `steps` tokens
    of answer each, from the first request to the last answer's end.
    """

    kind: str
    streams: int
    context: int
    steps: int

    @property
    def name(self) -> str:
        """As the table says it."""
        if self.kind == "prefill":
            return f"prefill {self.context:,} tokens"
        return (
            f"{self.kind}, {self.streams} stream{'s' if self.streams > 1 else ''}, context {self.context:,}"
        )

    def to_json(self) -> dict[str, object]:
        """The fields by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, object]) -> "Case":
        """The reverse of `to_json`."""
        match fields:
            case {"kind": str(kind), "streams": int(streams), "context": int(context), "steps": int(steps)}:
                return cls(kind, streams, context, steps)
        raise ValueError(f"not a case: {fields}")


def decode(streams: int, context: int, steps: int) -> Case:
    """A decode case."""
    return Case("decode", streams, context, steps)


def prefill(context: int, prompts: int) -> Case:
    """A prefill case."""
    return Case("prefill", 1, context, prompts)


def requests(streams: int, context: int, answer_tokens: int) -> Case:
    """A case of whole requests."""
    return Case("requests", streams, context, answer_tokens)


SMALL_MODEL_CASES: Sequence[Case] = (
    decode(1, 64, 192),
    decode(8, 64, 64),
    decode(32, 64, 32),
    decode(1, 1024, 128),
    decode(8, 1024, 48),
    decode(32, 1024, 16),
    decode(1, 4096, 96),
    prefill(32, 12),
    prefill(512, 3),
    prefill(4000, 1),
)
LARGE_MODEL_CASES: Sequence[Case] = (
    decode(1, 64, 48),
    decode(8, 64, 16),
    decode(32, 64, 8),
    decode(1, 1024, 32),
    prefill(32, 4),
    prefill(512, 1),
)
QUICK_CASES: Sequence[Case] = (decode(1, 64, 16), decode(8, 64, 8), prefill(32, 3), prefill(128, 1))


def random_prompt(length: int, vocabulary: int, *, name: str) -> list[int]:
    """`length` token ids; the same for the same name."""
    first = min(FIRST_PLAIN_TOKEN, vocabulary // 2)
    return random.Random(name).choices(range(first, vocabulary), k=length)


def cache_tokens(cases: Sequence[Case]) -> int:
    """Cache positions that hold every prompt of every case at once, and what grows out of them."""
    grown = WARM_UP_STEPS + 64
    return sum(case.streams * (case.context + case.steps + grown) for case in cases)
