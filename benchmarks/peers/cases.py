"""What is measured: one record a case, the same for every contestant. Standard library alone."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

WARM_UP_STEPS = 4
"""Decode steps before the clock starts."""
ARRIVAL_CONTEXT = 64
"""Prompt tokens of each stream that runs when another prompt arrives."""
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
    "arrival": while `streams` streams decode, a prompt of `context` tokens comes in;
    `steps` steps more are observed once it has its first token.
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
        if self.kind == "arrival":
            return f"{self.context:,} tokens arrive beside {self.streams} streams"
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


def arrival(streams: int, context: int, steps: int = 4) -> Case:
    """A case of a prompt that arrives while others decode."""
    return Case("arrival", streams, context, steps)


SMALL_MODEL_CASES: Sequence[Case] = (
    decode(1, 64, 192),
    decode(8, 64, 64),
    decode(32, 64, 32),
    decode(1, 1024, 128),
    decode(8, 1024, 48),
    decode(32, 1024, 16),
    decode(1, 4096, 96),
    decode(8, 4096, 16),
    prefill(32, 12),
    prefill(512, 3),
    prefill(4000, 1),
    arrival(8, 512),
)
SMALL_MODEL_QUICK_CASES: Sequence[Case] = (
    decode(1, 64, 48),
    decode(8, 64, 16),
    decode(32, 64, 8),
    decode(1, 1024, 32),
    prefill(32, 4),
    prefill(512, 1),
    arrival(8, 512),
)
LARGE_MODEL_CASES: Sequence[Case] = (
    decode(1, 64, 48),
    decode(8, 64, 16),
    decode(32, 64, 8),
    decode(1, 1024, 32),
    prefill(32, 4),
    prefill(512, 1),
)
LARGE_MODEL_QUICK_CASES: Sequence[Case] = (decode(1, 64, 16), decode(8, 64, 8), prefill(32, 2))


def left_out(measured: Sequence[Case], of: Sequence[Case]) -> list[str]:
    """Names of the cases that are not measured."""
    names = {case.name for case in measured}
    return [case.name for case in of if case.name not in names]


def prompts_of(case: Case, round_number: int, vocabulary: int) -> list[list[int]]:
    """The case's prompts: one a stream, or `steps` of them for "prefill"; for "arrival" the newcomer is last.

    Those of decoding streams are the same in every round and case, shorter ones
    the beginning of longer ones, so that a prefix cache may have them. What is
    to be computed against the clock begins differently each time.
    """
    if case.kind == "arrival":
        newcomer = random_prompt(case.context, vocabulary, name=f"arrival {round_number}")
        return [*_stream_prompts(case.streams, ARRIVAL_CONTEXT, vocabulary), newcomer]
    if case.kind == "decode":
        return _stream_prompts(case.streams, case.context, vocabulary)
    count = case.steps if case.kind == "prefill" else case.streams
    name = f"{case.kind} of {case.context}, round {round_number}"
    return [random_prompt(case.context, vocabulary, name=f"{name}, {index}") for index in range(count)]


def _stream_prompts(streams: int, context: int, vocabulary: int) -> list[list[int]]:
    return [random_prompt(context, vocabulary, name=f"stream {index}") for index in range(streams)]


def random_prompt(length: int, vocabulary: int, *, name: str) -> list[int]:
    """`length` token ids; the same for the same name, and a longer prompt begins with the shorter one."""
    first = min(FIRST_PLAIN_TOKEN, vocabulary // 2)
    return random.Random(name).choices(range(first, vocabulary), k=length)


def cache_tokens(cases: Sequence[Case]) -> int:
    """Cache positions that hold every prompt of every case at once, and what grows out of them."""
    grown = WARM_UP_STEPS + 64
    return sum((case.streams + 1) * (case.context + case.steps + grown) for case in cases)
