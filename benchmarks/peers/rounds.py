"""Runs the contestants in turn, so that each round sees all of them under the same conditions."""

import math
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
from benchmarks.peers.wire import Measurement

GREEDY_TOKENS = 32
Report = Callable[[str], None]
Windows = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A contestant with its file; its environment is ready."""

    contestant: Contestant
    model: ModelFile

    @property
    def name(self) -> str:
        """The contestant's."""
        return self.contestant.name

    def start(self) -> ContestantProcess:
        """A new process of it."""
        environment = self.contestant.environment
        return ContestantProcess(
            environment.command(self.contestant.program), self.name, environment.variables()
        )

    def load(self, process: ContestantProcess, cases: Sequence[Case], threads: int) -> str:
        """Load its file for some cases; returns what the engine calls itself."""
        return process.load(self.model.path, {**self.contestant.options, "threads": threads}, cases)


def run_rounds(
    results: PeerResults,
    entries: Sequence[Entry],
    cases: Sequence[Case],
    greedy_prompt: Sequence[int],
    windows: Windows,
    *,
    reload: bool,
    report: Report,
) -> None:
    """Add to `results`. With `reload` one contestant at a time is in memory, otherwise all stay loaded.

    `windows` are texts for the perplexity; without any it is not measured.
    """
    results.contestants += [ContestantResult(entry.name, entry.model.as_text()) for entry in entries]
    results.cases = [CaseResult(case) for case in cases]
    results.perplexity_tokens = sum(len(window) - 1 for window in windows)
    for entry in entries:
        _measure_text(results.contestant(entry.name), entry, windows, results.threads, report)
    ready = [entry for entry in entries if results.contestant(entry.name).engine]
    for round_number in range(results.rounds):
        results.other_load_percent.append(other_load_percent())
        for entry in _rotated(ready, round_number):
            _measure_start(results.contestant(entry.name), entry, greedy_prompt, results.threads, report)
    timed = [entry for entry in ready if not entry.contestant.reference]
    if reload:
        for round_number in range(results.rounds):
            for entry in _rotated(timed, round_number):
                with _Loaded(results, [entry], cases, report) as loaded:
                    for case_result in results.cases:
                        loaded.measure(case_result, [entry], round_number)
        return
    with _Loaded(results, timed, cases, report) as loaded:
        for round_number in range(results.rounds):
            for case_result in results.cases:
                loaded.measure(case_result, _rotated(timed, round_number), round_number)


def _measure_text(
    outcome: ContestantResult, entry: Entry, windows: Windows, threads: int, report: Report
) -> None:
    """The perplexity; it also brings the files into the page cache and makes what an engine keeps."""
    process = entry.start()
    try:
        outcome.engine = entry.load(process, [], threads)
        if windows:
            loss = process.score(windows) / sum(len(window) - 1 for window in windows)
            outcome.perplexity = math.exp(loss)
            report(f"{entry.name}: perplexity {outcome.perplexity:.3f}")
    except ContestantFailed as failure:
        _note_failure(outcome, str(failure), report)
    finally:
        process.close()


def _measure_start(
    outcome: ContestantResult, entry: Entry, greedy_prompt: Sequence[int], threads: int, report: Report
) -> None:
    """Start, load, answer once, end: what an application does that has one model."""
    started = time.perf_counter()
    process = entry.start()
    try:
        entry.load(process, [], threads)
        outcome.load_seconds.append(time.perf_counter() - started)
        process.greedy(greedy_prompt, 1)
        outcome.first_token_seconds.append(time.perf_counter() - started)
        outcome.greedy_tokens = process.greedy(greedy_prompt, GREEDY_TOKENS)
        outcome.peak_bytes.append(process.peak_bytes())
        report(
            f"{entry.name}: first token after {outcome.first_token_seconds[-1]:.2f} s, "
            f"{outcome.peak_bytes[-1] / 1e6:.0f} MB"
        )
    except ContestantFailed as failure:
        _note_failure(outcome, str(failure), report)
    finally:
        process.close()


class _Loaded:
    """Contestants that are in memory. One that fails a case sits it out from then on."""

    def __init__(
        self, results: PeerResults, entries: Sequence[Entry], cases: Sequence[Case], report: Report
    ) -> None:
        self._results = results
        self._entries = entries
        self._cases = cases
        self._report = report
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
                    _note_failure(self._results.contestant(entry.name), str(failure), self._report)
                else:
                    self._processes[entry.name] = process
            self._exits = self._exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def measure(self, result: CaseResult, entries: Sequence[Entry], round_number: int) -> None:
        """One case, each contestant once, one after the other."""
        found = []
        for entry in entries:
            process = self._processes.get(entry.name)
            if process is None or result.rounds_of(entry.name) < round_number:
                continue
            try:
                measurement = process.measure(result.case, round_number)
            except ContestantFailed as failure:
                outcome = self._results.contestant(entry.name)
                _note_failure(outcome, f"{result.case.name}: {failure}", self._report)
                continue
            found.append(f"{entry.name} {_note(result, entry.name, measurement)}")
        self._report(f"round {round_number + 1}, {result.case.name}: {'; '.join(found)}")


def _note(result: CaseResult, name: str, measurement: Measurement) -> str:
    """Keep a measurement; returns it for the log."""
    result.settings[name] = measurement.settings
    if result.is_arrival:
        result.first_token_seconds.setdefault(name, []).append(measurement.seconds)
        result.longest_gap_seconds.setdefault(name, []).append(measurement.longest_gap)
        return f"{measurement.seconds:.2f} s, gap {measurement.longest_gap:.2f} s"
    speed = measurement.tokens / measurement.seconds
    result.tokens_per_second.setdefault(name, []).append(speed)
    return f"{speed:.1f}"


def _rotated(entries: Sequence[Entry], round_number: int) -> list[Entry]:
    """Each round begins with another contestant, so that none always follows the same one."""
    first = round_number % len(entries) if entries else 0
    return [*entries[first:], *entries[:first]]


def _note_failure(outcome: ContestantResult, message: str, report: Report) -> None:
    if message not in outcome.failures:
        outcome.failures.append(message)
    report(f"{outcome.name} failed: {message}")
