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
    """From the start of its process to a model that answers."""
    peak_bytes: list[int] = []
    """Once it has answered its first request."""
    greedy_tokens: list[int] = []
    failures: list[str] = []


class CaseResult(msgspec.Struct):
    """Tokens per second of one case by contestant, a number a round, and the settings each chose."""

    case: Case
    tokens_per_second: dict[str, list[float]] = {}
    settings: dict[str, str] = {}


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

    def contestant(self, name: str) -> ContestantResult:
        """The one of that name."""
        return next(result for result in self.contestants if result.name == name)

    def save(self) -> Path:
        """Write it where `load` finds it."""
        path = results_path(self.model)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)))
        return path


def results_path(model: str) -> Path:
    """Where the last run with a model is kept."""
    return RESULTS_DIR / f"peers-{model}.json"


def load_results(model: str) -> PeerResults | None:
    """The last run with a model, or None."""
    path = results_path(model)
    return msgspec.json.decode(path.read_bytes(), type=PeerResults) if path.exists() else None
