"""What a run of the comparison found, as it is kept on disk."""

from pathlib import Path

import msgspec

from benchmarks.folders import RESULTS_DIR
from benchmarks.machine import Machine
from benchmarks.peers.cases import Case


class ContestantResult(msgspec.Struct):
    """One contestant: what it is and what it took to get it ready, a number a round."""

    name: str
    file: str
    engine: str = ""
    load_seconds: list[float] = []
    """From the start of its process to a model that is loaded."""
    first_token_seconds: list[float] = []
    """From the start of its process to the first token of a short prompt."""
    peak_bytes: list[int] = []
    """Once it has answered its first request."""
    greedy_tokens: list[int] = []
    perplexity: float | None = None
    failures: list[str] = []
    """What it could not do, and why."""


class CaseResult(msgspec.Struct):
    """One case by contestant, a number a round, and the settings each chose.

    Arrivals have `first_token_seconds` and `longest_gap_seconds`, all others
    `tokens_per_second`.
    """

    case: Case
    tokens_per_second: dict[str, list[float]] = {}
    settings: dict[str, str] = {}
    first_token_seconds: dict[str, list[float]] = {}
    longest_gap_seconds: dict[str, list[float]] = {}

    @property
    def is_arrival(self) -> bool:
        """Whether it is about waiting instead of speed."""
        return self.case.kind == "arrival"

    def rounds_of(self, name: str) -> int:
        """How often a contestant was measured."""
        return len((self.first_token_seconds if self.is_arrival else self.tokens_per_second).get(name, ()))


class PeerResults(msgspec.Struct):
    """A whole run."""

    model: str
    machine: Machine
    threads: int
    rounds: int
    quick: bool
    other_load_percent: list[float]
    """How busy the machine was with other work, before each round."""
    contestants: list[ContestantResult]
    cases: list[CaseResult]
    left_out: list[str] = []
    """Cases and contestants that this run did not ask for."""
    perplexity_tokens: int = 0
    minutes: float = 0.0

    def contestant(self, name: str) -> ContestantResult:
        """The one of that name."""
        return next(result for result in self.contestants if result.name == name)

    def save(self) -> Path:
        """Write it where `load_results` finds it, or apart when it is not a whole run."""
        path = results_path(self.model)
        if self.quick or self.left_out:
            path = path.with_stem(f"{path.stem}-{'quick' if self.quick else 'part'}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)))
        return path


def results_path(model: str) -> Path:
    """Where the last whole run with a model is kept."""
    return RESULTS_DIR / f"peers-{model}.json"


def load_results(model: str) -> PeerResults | None:
    """The last whole run with a model, or None."""
    path = results_path(model)
    return msgspec.json.decode(path.read_bytes(), type=PeerResults) if path.exists() else None
