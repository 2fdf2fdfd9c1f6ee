"""What driver and contestant say to each other: one JSON object a line on stdin and stdout.

    {"do": "load", "model": PATH, "options": {…}, "cases": […]}  →  {"engine": "…", "seconds": 1.2}
    {"do": "greedy", "prompt": [ids], "count": 16}    →  {"tokens": [ids]}
    {"do": "measure", "case": {…}, "round": 0}        →  {"tokens": 192, "seconds": 1.5, "settings": "…"}
    {"do": "memory"}                                  →  {"peak_bytes": 1234}

Anything may be answered by {"error": "…"}: what the contestant foresees that it
cannot do. Whatever it does not foresee ends it, with a traceback on stderr.
Otherwise it ends with its stdin.
This side is the contestant's. Standard library alone.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from benchmarks.peers.cases import Case


class CannotMeasure(Exception):
    """This engine cannot do what was asked; the next request may go well."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """`tokens` took `seconds`; `settings` says what the contestant chose for this case."""

    tokens: int
    seconds: float
    settings: str = ""


class Contestant(Protocol):
    """An engine that can be measured. Every call may raise CannotMeasure."""

    def load(self, model: Path, options: Mapping[str, object], cases: Sequence[Case]) -> str:
        """Bring the model into memory and get ready for the cases; returns what the engine calls itself."""

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """The first `count` tokens of the greedy continuation."""

    def measure(self, case: Case, round_number: int) -> Measurement:
        """Run one case once."""


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
            started = time.perf_counter()
            engine = contestant.load(Path(model), options, [Case.from_json(case) for case in cases])
            return {"engine": engine, "seconds": time.perf_counter() - started}
        case {"do": "greedy", "prompt": list(prompt), "count": int(count)}:
            return {"tokens": contestant.greedy(prompt, count)}
        case {"do": "measure", "case": dict(case), "round": int(round_number)}:
            measurement = contestant.measure(Case.from_json(case), round_number)
            return {
                "tokens": measurement.tokens,
                "seconds": measurement.seconds,
                "settings": measurement.settings,
            }
        case {"do": "memory"}:
            return {"peak_bytes": peak_memory()}
        case _:
            raise CannotMeasure(f"not a request: {request}")
