"""`make bench`: the sidecar on this machine against its own bars."""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.bench.engines import MODEL
from benchmarks.bench.footprint import measure_footprint
from benchmarks.bench.overhead import measure_overhead
from benchmarks.bench.rows import RESULTS, BenchResults, Row, Verdict, load_results
from benchmarks.bench.start import measure_start
from benchmarks.bench.throughput import measure_throughput
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
    results = BenchResults(
        machine=this_machine(),
        model=MODEL,
        other_load_percent=other_load_percent(3.0),
        quick=arguments.quick,
        rows=asyncio.run(_measure(quick=arguments.quick)),
    )
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


async def _measure(*, quick: bool) -> list[Row]:
    repeats = 1 if quick else 3
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, measuring in (
            ("starting", measure_start(repeats=repeats)),
            (
                "memory and idling",
                measure_footprint(folder, idle_seconds=1.0 if quick else 8.0, repeats=repeats),
            ),
            ("the protocol", measure_overhead(folder, repeats=repeats)),
            ("speed", measure_throughput(folder, rounds=1 if quick else 5)),
        ):
            started = time.perf_counter()
            rows += await measuring
            print(f"measured {what} in {time.perf_counter() - started:.0f} s", flush=True)
    return rows


if __name__ == "__main__":
    main()
