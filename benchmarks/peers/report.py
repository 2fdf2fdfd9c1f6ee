"""The comparison as tables: ratios first, then what they come from."""

from collections.abc import Mapping

from benchmarks.folders import PROJECT_DIR
from benchmarks.machine import QUIET_PERCENT
from benchmarks.peers.contestants import OUR_NAME, Contestant
from benchmarks.peers.results import CaseResult, ContestantResult, PeerResults
from benchmarks.summary import Summary, ratios, summarize
from benchmarks.tables import markdown_table

ABSENT = "–"
EXACT_NAME = "transformers, float32"
"""The others' tokens are compared with its tokens, where it takes part."""

ARRIVAL_HEADING = (
    "A prompt arrives while others decode: seconds to its first token, and the longest that any of the "
    "others waited for a token meanwhile; median of the rounds (lowest–highest):"
)


def report(results: PeerResults, contestants: Mapping[str, Contestant]) -> str:
    """Everything about one run, as Markdown."""
    load = summarize(results.other_load_percent)
    parts = [_conditions(results, load)]
    if load.high > QUIET_PERCENT:
        parts.append("**The machine was busy with other work: do not trust these numbers.**")
    speeds = [result for result in results.cases if not result.is_arrival]
    arrivals = [result for result in results.cases if result.is_arrival]
    timed = [outcome for outcome in results.contestants if _is_timed(outcome, contestants)]
    goals = ", and the goal." if any(contestant.goals for contestant in contestants.values()) else "."
    if speeds:
        parts += [
            "Our tokens per second divided by theirs: median of the rounds (lowest–highest)" + goals,
            _ratio_table(results, speeds, timed, contestants),
            "Tokens per second, median of the rounds:",
            _speed_table(speeds, timed),
        ]
    if arrivals:
        parts += [
            ARRIVAL_HEADING,
            _arrival_table(arrivals, timed),
        ]
    parts += [_start_heading(results), _start_table(results)]
    missing = [
        # Paths from the project's folder on: a report is published.
        f"- {outcome.name}: {failure}".replace(f"{PROJECT_DIR}/", "")
        for outcome in results.contestants
        for failure in outcome.failures
    ]
    missing += [f"- not asked for in this run: {name}" for name in results.left_out]
    if missing:
        parts.append("Not measured, and why:\n\n" + "\n".join(missing))
    return "\n\n".join(parts)


def speed(result: CaseResult, name: str) -> float | None:
    """Median tokens per second of a contestant in a case."""
    found = result.tokens_per_second.get(name)
    return summarize(found).median if found else None


def _conditions(results: PeerResults, load: Summary) -> str:
    plural = "" if results.rounds == 1 else "s"
    took = f" The run took {results.minutes:.0f} minutes." if results.minutes else ""
    return (
        f"{results.machine.sentence()}. {results.threads} threads each, "
        f"{results.rounds} round{plural} in turn; other work on the machine: "
        f"{load.median:.0f} % ({load.low:.0f}–{load.high:.0f}).{took}"
    )


def _is_timed(outcome: ContestantResult, contestants: Mapping[str, Contestant]) -> bool:
    contestant = contestants.get(outcome.name)
    return contestant is None or not contestant.reference


def _ratio_table(
    results: PeerResults,
    cases: list[CaseResult],
    timed: list[ContestantResult],
    contestants: Mapping[str, Contestant],
) -> str:
    peers = [outcome.name for outcome in timed if outcome.name != OUR_NAME]
    rows = [
        [result.case.name, *(_ratio_cell(result, peer, contestants.get(peer)) for peer in peers)]
        for result in cases
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


def _speed_table(cases: list[CaseResult], timed: list[ContestantResult]) -> str:
    rows = []
    for result in cases:
        speeds = [speed(result, outcome.name) for outcome in timed]
        rows.append([result.case.name, *(ABSENT if found is None else f"{found:,.1f}" for found in speeds)])
    return markdown_table(["", *(outcome.name for outcome in timed)], rows)


def _arrival_table(cases: list[CaseResult], timed: list[ContestantResult]) -> str:
    rows = [
        [
            outcome.name,
            *(
                _seconds(found.get(outcome.name, []))
                for result in cases
                for found in (result.first_token_seconds, result.longest_gap_seconds)
            ),
        ]
        for outcome in timed
    ]
    header = [f"{result.case.name}: {what}" for result in cases for what in ("first token", "longest gap")]
    return markdown_table(["", *header], rows)


def _seconds(values: list[float]) -> str:
    if not values:
        return ABSENT
    found = summarize(values)
    spread = f" ({found.low:.2f}–{found.high:.2f})" if len(values) > 1 else ""
    return f"{found.median:.2f} s{spread}"


def _start_heading(results: PeerResults) -> str:
    text = (
        "Seconds from the start of the process to a loaded model and to the first token of a short prompt, "
        "with the files in the page cache; peak memory after the first answer"
    )
    if not results.perplexity_tokens:
        return f"{text}:"
    return f"{text}; perplexity of {results.perplexity_tokens:,} tokens of benchmarks/data/prose.txt:"


def _start_table(results: PeerResults) -> str:
    exact = [outcome for outcome in results.contestants if outcome.name == EXACT_NAME]
    rows = [
        [
            outcome.name,
            outcome.engine or ABSENT,
            outcome.file or ABSENT,
            _seconds(outcome.load_seconds),
            _seconds(outcome.first_token_seconds),
            f"{summarize(outcome.peak_bytes).median / 1e6:,.0f} MB" if outcome.peak_bytes else ABSENT,
            *([_perplexity(outcome)] if results.perplexity_tokens else []),
            *(_agreement(outcome, reference) for reference in exact),
        ]
        for outcome in results.contestants
    ]
    header = ["", "engine", "file", "loaded after", "first token after", "memory"]
    header += ["perplexity"] if results.perplexity_tokens else []
    header += [f"first tokens equal to {reference.name}" for reference in exact]
    return markdown_table(header, rows)


def _perplexity(outcome: ContestantResult) -> str:
    return ABSENT if outcome.perplexity is None else f"{outcome.perplexity:.2f}"


def _agreement(outcome: ContestantResult, reference: ContestantResult) -> str:
    """How many greedy tokens are the same before the first that differs."""
    pairs = list(zip(outcome.greedy_tokens, reference.greedy_tokens, strict=False))
    if not pairs:
        return ABSENT
    same = next((index for index, (ours, theirs) in enumerate(pairs) if ours != theirs), len(pairs))
    return f"{same} of {len(pairs)}"
