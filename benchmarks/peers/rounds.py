"""Runs the contestants in turn, so that each round sees all of them under the same conditions."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.machine import other_load_percent
from benchmarks.peers.cases import Case
from benchmarks.peers.child import ContestantFailed, ContestantProcess
from benchmarks.peers.contestants import Contestant
from benchmarks.peers.model_files import ModelFile
from benchmarks.peers.results import CaseResult, ContestantResult, PeerResults

GREEDY_TOKENS = 32
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A contestant with its file."""

    contestant: Contestant
    model: ModelFile

    @property
    def name(self) -> str:
        """The contestant's."""
        return self.contestant.name

    def start(self) -> ContestantProcess:
        """A new process of it."""
        return ContestantProcess(
            self.contestant.environment.ensure(), self.contestant.module, self.contestant.name
        )

    def load(self, process: ContestantProcess, cases: Sequence[Case], threads: int) -> str:
        """Load its file for some cases; returns what the engine calls itself."""
        options = {**self.contestant.options, "threads": threads}
        engine, _ = process.load(self.model.path, options, cases)
        return engine


def run_rounds(
    results: PeerResults,
    entries: Sequence[Entry],
    cases: Sequence[Case],
    greedy_prompt: Sequence[int],
    *,
    reload: bool,
    report: Report,
) -> None:
    """Fill `results`. With `reload` one contestant at a time is in memory, otherwise all stay loaded."""
    results.contestants = [_unmeasured(entry) for entry in entries]
    results.cases = [CaseResult(case) for case in cases]
    for entry in entries:
        # Brings the files into the page cache and makes what an engine keeps for its next start.
        _measure_start(_unmeasured(entry), entry, greedy_prompt, results.threads, lambda _: None)
    for round_number in range(results.rounds):
        results.other_load_percent.append(other_load_percent())
        for entry in _rotated(entries, round_number):
            _measure_start(results.contestant(entry.name), entry, greedy_prompt, results.threads, report)
    if reload:
        for round_number in range(results.rounds):
            for entry in _rotated(entries, round_number):
                with _Loaded(results, [entry], cases) as loaded:
                    for case_result in results.cases:
                        loaded.measure(case_result, [entry], round_number, report)
        return
    with _Loaded(results, entries, cases) as loaded:
        for round_number in range(results.rounds):
            for case_result in results.cases:
                loaded.measure(case_result, _rotated(entries, round_number), round_number, report)


def _unmeasured(entry: Entry) -> ContestantResult:
    return ContestantResult(entry.name, entry.model.as_text())


def _measure_start(
    outcome: ContestantResult, entry: Entry, greedy_prompt: Sequence[int], threads: int, report: Report
) -> None:
    """Start, load, answer once, end: what an application does that has one model."""
    started = time.perf_counter()
    process = entry.start()
    try:
        outcome.engine = entry.load(process, [], threads)
        outcome.load_seconds.append(time.perf_counter() - started)
        outcome.greedy_tokens = process.greedy(greedy_prompt, GREEDY_TOKENS)
        outcome.peak_bytes.append(process.peak_bytes())
        report(
            f"{entry.name}: ready in {outcome.load_seconds[-1]:.2f} s, {outcome.peak_bytes[-1] / 1e6:.0f} MB"
        )
    except ContestantFailed as failure:
        _note_failure(outcome, str(failure), report)
    finally:
        process.close()


class _Loaded:
    """Contestants that are in memory. One that fails a case sits it out from then on."""

    def __init__(self, results: PeerResults, entries: Sequence[Entry], cases: Sequence[Case]) -> None:
        self._results = results
        self._entries = entries
        self._cases = cases
        self._processes: dict[str, ContestantProcess] = {}
        self._exits = ExitStack()

    def __enter__(self) -> "_Loaded":
        with self._exits:
            for entry in self._entries:
                process = entry.start()
                self._exits.callback(process.close)
                try:
                    entry.load(process, self._cases, self._results.threads)
                except ContestantFailed as failure:
                    _note_failure(self._results.contestant(entry.name), str(failure), print)
                else:
                    self._processes[entry.name] = process
            self._exits = self._exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def measure(
        self, result: CaseResult, entries: Sequence[Entry], round_number: int, report: Report
    ) -> None:
        """One case, each contestant once, one after the other."""
        speeds = []
        for entry in entries:
            process = self._processes.get(entry.name)
            missed = len(result.tokens_per_second.get(entry.name, ())) < round_number
            if process is None or missed:
                continue
            try:
                measurement = process.measure(result.case, round_number)
            except ContestantFailed as failure:
                _note_failure(self._results.contestant(entry.name), f"{result.case.name}: {failure}", report)
                continue
            speed = measurement.tokens / measurement.seconds
            result.tokens_per_second.setdefault(entry.name, []).append(speed)
            result.settings[entry.name] = measurement.settings
            speeds.append(f"{entry.name} {speed:.1f}")
        report(f"round {round_number + 1}, {result.case.name}: {'; '.join(speeds)}")


def _rotated(entries: Sequence[Entry], round_number: int) -> list[Entry]:
    """Each round begins with another contestant, so that none always follows the same one."""
    first = round_number % len(entries)
    return [*entries[first:], *entries[:first]]


def _note_failure(outcome: ContestantResult, message: str, report: Report) -> None:
    if message not in outcome.failures:
        outcome.failures.append(message)
    report(f"{outcome.name} failed: {message}")
