"""`make bench-peers`: the sidecar's engine and other engines, side by side on this machine."""

import argparse
import time
from collections.abc import Sequence

from benchmarks.folders import DOCUMENT
from benchmarks.machine import this_machine, usable_cores
from benchmarks.peers import cases, contestants, model_files
from benchmarks.peers.cases import Case
from benchmarks.peers.chart import chart
from benchmarks.peers.contestants import OUR_NAME, Contestant
from benchmarks.peers.environment import EnvironmentFailed
from benchmarks.peers.report import report
from benchmarks.peers.results import ContestantResult, PeerResults, load_results
from benchmarks.peers.rounds import Entry, run_rounds
from benchmarks.peers.texts import text_windows
from benchmarks.tables import replace_section

MODELS = {"smollm2-135m": "SmolLM2-135M-Instruct", "1.4b": "A Llama of 1.4 billion weights"}
SMALL_MODEL = "smollm2-135m"
# "The capital of France is Paris. The capital of Germany is" in SmolLM2's vocabulary.
GREEDY_PROMPT = (504, 3575, 282, 4649, 314, 7042, 30, 378, 3575, 282, 5960, 314)
PERPLEXITY_WINDOWS, QUICK_PERPLEXITY_WINDOWS = 8, 1


def main() -> None:
    """Measure, print, keep; or write what was kept into the documentation."""
    arguments = _arguments()
    if arguments.write_docs:
        write_docs()
        return
    started = time.monotonic()
    everyone = _contestants(arguments.model, arguments.executor, arguments.quantization)
    chosen = [each for each in everyone if each.name == OUR_NAME or _is_wanted(each.name, arguments.only)]
    all_cases, chosen_cases = _cases(arguments.model, arguments.cases, quick=arguments.quick)
    small = arguments.model == SMALL_MODEL
    model = model_files.default_model() if small else model_files.random_model()
    results = PeerResults(
        model=arguments.model,
        machine=this_machine(),
        threads=arguments.threads,
        rounds=arguments.rounds or (1 if arguments.quick else 3),
        quick=arguments.quick,
        other_load_percent=[],
        contestants=[],
        cases=[],
        left_out=[
            *cases.left_out(chosen_cases, all_cases),
            *(each.name for each in everyone if each not in chosen),
        ],
    )
    windows = QUICK_PERPLEXITY_WINDOWS if arguments.quick else PERPLEXITY_WINDOWS
    run_rounds(
        results,
        prepare(chosen, model, results),
        chosen_cases,
        GREEDY_PROMPT,
        # What a model with random weights says of a text means nothing.
        text_windows(model, windows) if small else [],
        reload=arguments.reload,
        report=lambda line: print(line, flush=True),
    )
    results.minutes = (time.monotonic() - started) / 60
    path = results.save()
    print(f"\n{report(results, {each.name: each for each in everyone})}\n\nkept in {path}")


def prepare(chosen: Sequence[Contestant], model: model_files.ModelFile, results: PeerResults) -> list[Entry]:
    """Make the environments and files of those who compete; who cannot is noted in `results`."""
    entries = []
    for contestant in chosen:
        try:
            contestant.environment.ensure()
            entries.append(Entry(contestant, model_files.in_weights(model, contestant.weights)))
        except EnvironmentFailed as error:
            print(f"{contestant.name} cannot take part: {error}", flush=True)
            results.contestants.append(ContestantResult(contestant.name, "", failures=[str(error)]))
    return entries


def write_docs() -> None:
    """Put the last whole run of every model into the documentation, as tables and as a picture."""
    for model, title in MODELS.items():
        results = load_results(model)
        if results is None:
            print(f"{model}: no whole run is kept; its section stays as it is")
            continue
        picture = DOCUMENT.with_name(f"peers-{model}.svg")
        picture.write_text(chart(results, title), encoding="utf-8")
        everyone = {each.name: each for each in _contestants(model, "auto", "auto")}
        text = (
            f"![{title}: tokens per second by engine and case]({picture.name})\n\n{report(results, everyone)}"
        )
        replace_section(DOCUMENT, f"peers {model}", text)
        print(f"{model}: written into {DOCUMENT} and {picture}")


def _cases(model: str, names: Sequence[str] | None, *, quick: bool) -> tuple[Sequence[Case], Sequence[Case]]:
    """All of a model's cases, and those to be measured."""
    if model == SMALL_MODEL:
        everything, few = cases.SMALL_MODEL_CASES, cases.SMALL_MODEL_QUICK_CASES
    else:
        everything, few = cases.LARGE_MODEL_CASES, cases.LARGE_MODEL_QUICK_CASES
    return everything, [case for case in (few if quick else everything) if _is_wanted(case.name, names)]


def _is_wanted(name: str, parts: Sequence[str] | None) -> bool:
    return parts is None or any(part in name for part in parts)


def _contestants(model: str, executor: str, quantization: str) -> list[Contestant]:
    ours = contestants.sidecar(executor, quantization)
    if model == SMALL_MODEL:
        return [ours, *contestants.SMALL_MODEL_PEERS]
    other_weights = [
        contestants.sidecar(executor, "auto", weights) for weights in contestants.LARGE_MODEL_WEIGHTS
    ]
    return [ours, *other_weights, *contestants.LARGE_MODEL_PEERS]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--model", choices=MODELS, default=SMALL_MODEL)
    parser.add_argument("--rounds", type=int, help="default 3, with --quick 1")
    parser.add_argument(
        "--quick", action="store_true", help="few and short cases, to see that all of it runs"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="only peers whose name contains one of these"
    )
    parser.add_argument(
        "--cases", nargs="+", metavar="NAME", help="only cases whose name contains one of these"
    )
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--executor", default="auto", help="of the sidecar")
    parser.add_argument("--quantization", default="auto", help="of the sidecar")
    parser.add_argument("--reload", action="store_true", help="keep only one contestant in memory")
    parser.add_argument(
        "--write-docs", action="store_true", help="write the last whole runs to docs; measure nothing"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
