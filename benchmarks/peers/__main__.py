"""`make bench-peers`: the sidecar's engine and other engines, side by side on this machine."""

import argparse

from benchmarks.folders import DOCUMENT
from benchmarks.machine import this_machine, usable_cores
from benchmarks.peers import cases, contestants, model_files
from benchmarks.peers.contestants import OUR_NAME, Contestant
from benchmarks.peers.report import report
from benchmarks.peers.results import PeerResults, load_results
from benchmarks.peers.rounds import Entry, run_rounds
from benchmarks.tables import replace_section

MODELS = ("smollm2-135m", "1.4b")
# "The capital of France is Paris. The capital of Germany is" in SmolLM2's vocabulary.
GREEDY_PROMPT = (504, 3575, 282, 4649, 314, 7042, 30, 378, 3575, 282, 5960, 314)


def main() -> None:
    """Measure, print, keep; or write what was kept into the documentation."""
    arguments = _arguments()
    everyone = _contestants(arguments.model, arguments.executor, arguments.quantization)
    by_name = {contestant.name: contestant for contestant in everyone}
    if arguments.write_docs:
        write_docs()
        return
    small = arguments.model == MODELS[0]
    chosen_cases = cases.SMALL_MODEL_CASES if small else cases.LARGE_MODEL_CASES
    if arguments.quick:
        chosen_cases = cases.QUICK_CASES
    if arguments.only:
        everyone = [
            contestant
            for contestant in everyone
            if contestant.name == OUR_NAME or any(part in contestant.name for part in arguments.only)
        ]
    model = model_files.default_model() if small else model_files.random_model()
    entries = [
        Entry(
            contestant,
            model_files.requantized(model, contestant.requantized) if contestant.requantized else model,
        )
        for contestant in everyone
    ]
    results = PeerResults(
        model=arguments.model,
        machine=this_machine(),
        threads=arguments.threads,
        rounds=arguments.rounds or (1 if arguments.quick else 3),
        quick=arguments.quick,
        other_load_percent=[],
        contestants=[],
        cases=[],
    )
    run_rounds(
        results,
        entries,
        chosen_cases,
        GREEDY_PROMPT,
        reload=arguments.reload,
        report=lambda line: print(line, flush=True),
    )
    path = results.save()
    print(f"\n{report(results, by_name)}\n\nkept in {path}")


def write_docs() -> None:
    """Put the last run of every model into the documentation; runs with `--quick` are refused."""
    for model in MODELS:
        results = load_results(model)
        if results is None:
            print(f"{model}: nothing measured yet; its section stays as it is")
        elif results.quick:
            raise SystemExit(f"{model}: the last run was a quick one; measure without --quick first")
        else:
            names = {contestant.name: contestant for contestant in _contestants(model, "auto", "auto")}
            replace_section(DOCUMENT, f"peers {model}", report(results, names))
            print(f"{model}: written into {DOCUMENT}")


def _contestants(model: str, executor: str, quantization: str) -> list[Contestant]:
    peers = contestants.SMALL_MODEL_PEERS if model == MODELS[0] else contestants.LARGE_MODEL_PEERS
    return [contestants.sidecar(executor, quantization), *peers]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    parser.add_argument("--rounds", type=int, help="default 3, with --quick 1")
    parser.add_argument(
        "--quick", action="store_true", help="few and short cases, to see that all of it runs"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="only peers whose name contains one of these"
    )
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--executor", default="auto", help="of the sidecar")
    parser.add_argument("--quantization", default="auto", help="of the sidecar")
    parser.add_argument("--reload", action="store_true", help="keep only one contestant in memory")
    parser.add_argument(
        "--write-docs", action="store_true", help="write the last results to docs; measure nothing"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
