"""The comparison as tables: ratios first, then the tokens per second they come from."""

from collections.abc import Mapping

from benchmarks.machine import QUIET_PERCENT
from benchmarks.peers.contestants import OUR_NAME, Contestant
from benchmarks.peers.results import CaseResult, ContestantResult, PeerResults
from benchmarks.summary import ratios, summarize
from benchmarks.tables import markdown_table

ABSENT = "–"
EXACT_NAME = "transformers, float32"
"""The others' tokens are compared with its tokens, where it takes part."""


def report(results: PeerResults, contestants: Mapping[str, Contestant]) -> str:
    """Everything about one run, as Markdown."""
    load = summarize(results.other_load_percent)
    plural = "" if results.rounds == 1 else "s"
    parts = [
        (
            f"{results.machine.sentence()}. {results.threads} threads each, "
            f"{results.rounds} round{plural} in turn; other work on the machine: "
            f"{load.median:.0f} % ({load.low:.0f}–{load.high:.0f})."
        ),
        "Ours divided by theirs: median of the rounds (lowest–highest)"
        + (", and the goal." if _has_goals(contestants) else "."),
        _ratio_table(results, contestants),
        "Tokens per second, median of the rounds:",
        _speed_table(results),
        "Process start to a loaded model (files in the page cache); peak memory after the first answer:",
        _start_table(results),
    ]
    if load.high > QUIET_PERCENT:
        parts.insert(1, "**The machine was busy with other work: do not trust these numbers.**")
    failures = [
        f"- {outcome.name}: {failure}" for outcome in results.contestants for failure in outcome.failures
    ]
    if failures:
        parts.append("Failed:\n" + "\n".join(failures))
    return "\n\n".join(parts)


def _has_goals(contestants: Mapping[str, Contestant]) -> bool:
    return any(contestant.goals for contestant in contestants.values())


def _ratio_table(results: PeerResults, contestants: Mapping[str, Contestant]) -> str:
    peers = [outcome.name for outcome in results.contestants if outcome.name != OUR_NAME]
    rows = [
        [result.case.name, *(_ratio_cell(result, peer, contestants.get(peer)) for peer in peers)]
        for result in results.cases
    ]
    return markdown_table(["", *peers], rows)


def _ratio_cell(result: CaseResult, peer: str, contestant: Contestant | None) -> str:
    ours, theirs = (result.tokens_per_second.get(name, []) for name in (OUR_NAME, peer))
    if not ours or len(ours) != len(theirs):
        return ABSENT
    ratio = ratios(ours, theirs)
    text = f"{ratio.median:.2f}× ({ratio.low:.2f}–{ratio.high:.2f})"
    goal = contestant.goals.of(result.case) if contestant and contestant.goals else None
    return f"{text}, goal {goal:g}×" if goal else text


def _speed_table(results: PeerResults) -> str:
    names = [outcome.name for outcome in results.contestants]
    rows = [
        [result.case.name, *(_speed_cell(result.tokens_per_second.get(name, [])) for name in names)]
        for result in results.cases
    ]
    return markdown_table(["", *names], rows)


def _speed_cell(speeds: list[float]) -> str:
    return f"{summarize(speeds).median:,.1f}" if speeds else ABSENT


def _start_table(results: PeerResults) -> str:
    exact = [outcome for outcome in results.contestants if outcome.name == EXACT_NAME]
    rows = [
        [
            outcome.name,
            outcome.engine or ABSENT,
            outcome.file,
            f"{summarize(outcome.load_seconds).median:.2f} s" if outcome.load_seconds else ABSENT,
            f"{summarize(outcome.peak_bytes).median / 1e6:,.0f} MB" if outcome.peak_bytes else ABSENT,
            *(_agreement(outcome, reference) for reference in exact),
        ]
        for outcome in results.contestants
    ]
    header = ["", "engine", "file", "ready after", "memory"]
    header += [f"first tokens equal to {reference.name}" for reference in exact]
    return markdown_table(header, rows)


def _agreement(outcome: ContestantResult, reference: ContestantResult) -> str:
    """How many greedy tokens are the same before the first that differs."""
    pairs = list(zip(outcome.greedy_tokens, reference.greedy_tokens, strict=False))
    if not pairs:
        return ABSENT
    same = next((index for index, (ours, theirs) in enumerate(pairs) if ours != theirs), len(pairs))
    return f"{same} of {len(pairs)}"
