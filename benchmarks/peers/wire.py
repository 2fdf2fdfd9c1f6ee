"""What driver and contestant say to each other: one JSON object a line on stdin and stdout.

    {"do": "load", "model": PATH, "options": {…}, "cases": […]}  →  {"engine": "…", "vocabulary": 49152}
    {"do": "greedy", "prompt": [ids], "count": 16}        →  {"tokens": [ids]}
    {"do": "measure", "case": {…}, "prompts": [[ids], …]} →  {"tokens": 192, "seconds": 1.5,
                                                              "longest_gap": 0, "settings": "…"}
    {"do": "score", "windows": [[ids], …]}                →  {"loss": 1234.5}
    {"do": "memory"}                                      →  {"peak_bytes": 1234}

Anything may be answered by {"error": "…"}: what the contestant foresees that it
cannot do. Whatever it does not foresee ends it, with a traceback on stderr.
Otherwise it ends with its stdin.
This side is the contestant's, for those in Python. Standard library alone.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TextIO

from benchmarks.peers.cases import Case


class CannotMeasure(Exception):
    """This engine cannot do what was asked; the next request may go well."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """`tokens` took `seconds`; `settings` says what the contestant chose for this case.

    Of an arrival `seconds` is the newcomer's time to its first token, and
    `longest_gap` the most seconds that any other stream waited for a token.
    """

    tokens: int
    seconds: float
    settings: str = ""
    longest_gap: float = 0.0


class Contestant(Protocol):
    """An engine that can be measured. Every call may raise CannotMeasure."""

    def load(self, model: Path, options: Mapping[str, object], cases: Sequence[Case]) -> tuple[str, int]:
        """Bring the model into memory and get ready for the cases.

        Returns what the engine calls itself, and how many tokens the vocabulary has.
        """

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """The first `count` tokens of the greedy continuation."""

    def measure(self, case: Case, prompts: Sequence[Sequence[int]]) -> Measurement:
        """Run one case once. Engines that copy caches may run all streams on the first prompt."""

    def score(self, windows: Sequence[Sequence[int]]) -> float:
        """The sum of -log p(token | the window's tokens before it), natural, but for each window's first."""


def serve(contestant: Contestant) -> None:
    """Answer the driver until stdin ends. What libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve_lines(contestant, sys.stdin, answers)


def serve_lines(contestant: Contestant, requests: TextIO, answers: TextIO) -> None:
    """Answer every line of `requests`."""
    for line in requests:
        try:
            answer = _answer(contestant, json.loads(line))
        except CannotMeasure as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def peak_memory() -> int:
    """The most bytes this process had in memory at once, pages of mapped files included.

    Raises CannotMeasure on Windows.
    """
    if sys.platform == "win32":
        raise CannotMeasure("peak memory is not measured on Windows")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _answer(contestant: Contestant, request: Mapping[str, object]) -> dict[str, object]:
    match request:
        case {"do": "load", "model": str(model), "options": dict(options), "cases": list(cases)}:
            engine, vocabulary = contestant.load(
                Path(model), options, [Case.from_json(case) for case in cases]
            )
            return {"engine": engine, "vocabulary": vocabulary}
        case {"do": "greedy", "prompt": list(prompt), "count": int(count)}:
            return {"tokens": contestant.greedy(prompt, count)}
        case {"do": "measure", "case": dict(case), "prompts": list(prompts)}:
            return asdict(contestant.measure(Case.from_json(case), prompts))
        case {"do": "score", "windows": list(windows)}:
            return {"loss": contestant.score(windows)}
        case {"do": "memory"}:
            return {"peak_bytes": peak_memory()}
        case _:
            raise CannotMeasure(f"not a request: {request}")
