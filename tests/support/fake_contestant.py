"""A contestant that computes nothing: `python -m tests.support.fake_contestant`."""

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.peers.cases import Case
from benchmarks.peers.wire import CannotMeasure, Measurement, serve

VOCABULARY = 512
PERPLEXITY = 20.0


class FakeContestant:
    """Takes one second for every case; refuses 8 streams, and dies of 32."""

    def load(self, model: Path, options: Mapping[str, object], cases: Sequence[Case]) -> tuple[str, int]:
        print("a library that talks on stdout")
        if model.name == "missing.gguf":
            raise CannotMeasure(f"there is no {model}")
        return f"fake {options['speed']}, {options['threads']} threads, {len(cases)} cases", VOCABULARY

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        return [prompt[-1]] * count

    def measure(self, case: Case, prompts: Sequence[Sequence[int]]) -> Measurement:
        if case.kind == "arrival":
            return Measurement(case.context, len(prompts[-1]) / 100, "as ever", 0.5)
        if case.streams == 8:
            raise CannotMeasure("8 streams are too many")
        if case.streams == 32:
            sys.exit("32 streams are the end")
        return Measurement(100, 1.0, "as ever")

    def score(self, windows: Sequence[Sequence[int]]) -> float:
        if any(0 in window for window in windows):
            raise CannotMeasure("token 0 has no probability")
        return math.log(PERPLEXITY) * sum(len(window) - 1 for window in windows)


if __name__ == "__main__":
    serve(FakeContestant())
