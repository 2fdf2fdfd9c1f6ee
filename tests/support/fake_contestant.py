"""A contestant that computes nothing: `python -m tests.support.fake_contestant`."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.peers.cases import Case
from benchmarks.peers.wire import CannotMeasure, Measurement, serve


class FakeContestant:
    """Takes one second for every case; refuses 8 streams, and dies of 32."""

    def load(self, model: Path, options: Mapping[str, object], cases: Sequence[Case]) -> str:
        print("a library that talks on stdout")
        if model.name == "missing.gguf":
            raise CannotMeasure(f"there is no {model}")
        return f"fake {options['speed']}, {options['threads']} threads, {len(cases)} cases"

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        return [prompt[-1]] * count

    def measure(self, case: Case, round_number: int) -> Measurement:
        if case.streams == 8:
            raise CannotMeasure("8 streams are too many")
        if case.streams == 32:
            sys.exit("32 streams are the end")
        return Measurement(100 * (round_number + 1), 1.0, "as ever")


if __name__ == "__main__":
    serve(FakeContestant())
