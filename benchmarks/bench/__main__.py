"""`make bench`: the sidecar on this machine against its own bars."""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.bench.clients import measure_clients
from benchmarks.bench.drivers import available
from benchmarks.bench.engines import MODEL
from benchmarks.bench.footprint import measure_footprint
from benchmarks.bench.overhead import measure_event
from benchmarks.bench.rows import RESULTS, BenchResults, Row, Verdict, load_results
from benchmarks.bench.start import measure_start
from benchmarks.bench.throughput import measure_throughput
from benchmarks.bench.token_cost import measure_token_cost
from benchmarks.folders import DOCUMENT
from benchmarks.machine import other_load_percent, this_machine
from benchmarks.tables import replace_section


def main() -> None:
    """Measure, print, keep; or write what was kept into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="each measurement once, to see that all of it runs"
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="write the last results to docs; measure nothing"
    )
    arguments = parser.parse_args()
    if arguments.write_docs:
        write_docs()
        return
    results = BenchResults(this_machine(), MODEL, [], arguments.quick, [])
    asyncio.run(_measure(results))
    results.save()
    missed = sum(row.verdict is Verdict.MISSED for row in results.rows)
    print(f"\n{results.report()}\n\n{missed} bars missed; kept in {RESULTS}")


def write_docs() -> None:
    """Put the last run into the documentation; a quick one is refused."""
    results = load_results()
    if results is None:
        raise SystemExit("nothing measured yet; run `make bench` first")
    if results.quick:
        raise SystemExit("the last run was a quick one; run `make bench` first")
    replace_section(DOCUMENT, "bench", results.report())
    print(f"written into {DOCUMENT}")


async def _measure(results: BenchResults) -> None:
    quick = results.quick
    repeats = 1 if quick else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, measuring in (
            ("starting", measure_start(repeats=repeats)),
            (
                "memory and idling",
                measure_footprint(folder, idle_seconds=1.0 if quick else 8.0, repeats=repeats),
            ),
            ("the protocol", _measure_protocol(folder, repeats)),
            ("speed", measure_throughput(folder, rounds=1 if quick else 15)),
        ):
            results.other_load_percent.append(other_load_percent())
            started = time.perf_counter()
            results.rows += await measuring
            print(f"measured {what} in {time.perf_counter() - started:.0f} s", flush=True)


async def _measure_protocol(folder: Path, repeats: int) -> list[Row]:
    rows = [measure_event(repeats=repeats)]
    rows += await asyncio.to_thread(measure_clients, folder, available(), repeats=repeats)
    return rows + await measure_token_cost(folder, repeats=repeats)


if __name__ == "__main__":
    main()
