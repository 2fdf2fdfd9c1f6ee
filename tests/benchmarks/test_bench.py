"""The bench: bars and rows, and its measurements with a real sidecar that runs no real model."""

from pathlib import Path

import pytest

from benchmarks.bench import __main__ as bench
from benchmarks.bench import overhead, rows
from benchmarks.bench.rows import Bar, BenchResults, Verdict, number, row
from benchmarks.bench.start import ready_line_ms
from benchmarks.machine import this_machine


@pytest.mark.parametrize(
    ("bar", "value", "verdict"),
    [
        (Bar(300), 300, Verdict.KEPT),
        (Bar(300), 300.1, Verdict.MISSED),
        (Bar(95, at_least=True), 95, Verdict.KEPT),
        (Bar(95, at_least=True), 94.9, Verdict.MISSED),
    ],
)
def test_a_bar_is_kept_at_its_limit(bar: Bar, value: float, verdict: Verdict) -> None:
    assert bar.verdict(value) is verdict


def test_a_row_is_judged_by_its_median() -> None:
    kept = row("spawn", "ms", [290, 250, 900], Bar(300))
    assert kept.verdict is Verdict.KEPT
    assert kept.cells() == ["spawn", "290 ms", "250 – 900", "≤ 300 ms", "kept"]
    assert row("no bar", "µs", [1.234]).cells() == ["no bar", "1.23 µs", "–", "–", "–"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.123, "0.12"), (9.99, "9.99"), (45.67, "45.7"), (1234.5, "1,234")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results and documentation in a folder of the test's own; returns the document."""
    monkeypatch.setattr(rows, "RESULTS", tmp_path / "bench.json")
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- begin bench -->\n<!-- end bench -->\n")
    monkeypatch.setattr(bench, "DOCUMENT", document)
    return document


def results(*, quick: bool) -> BenchResults:
    return BenchResults(
        this_machine(), "a-model", [1.0, 3.0, 50.0], quick, [row("spawn", "ms", [290, 310], Bar(300))]
    )


def test_documentation_gets_the_last_run(kept: Path) -> None:
    results(quick=False).save()
    bench.write_docs()
    text = kept.read_text()
    assert "| spawn | 300 ms |        290 – 310 | ≤ 300 ms |    kept |" in text
    assert "Model: a-model. Other work on the machine: 3 % (1–50)." in text
    assert "do not trust these numbers" in text


def test_documentation_takes_no_quick_run_and_no_run_at_all(kept: Path) -> None:
    before = kept.read_text()
    with pytest.raises(SystemExit, match="nothing measured yet"):
        bench.write_docs()
    results(quick=True).save()
    with pytest.raises(SystemExit, match="the last run was a quick one"):
        bench.write_docs()
    assert kept.read_text() == before


def test_a_ready_line_is_timed(tmp_path: Path) -> None:
    assert 20 < ready_line_ms(tmp_path) < 30_000


async def test_overhead_is_measured_on_a_real_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overhead, "PINGS", 5)
    monkeypatch.setattr(overhead, "EVENTS", 10)
    monkeypatch.setattr(overhead, "ANSWER_TOKENS", {2: 20})
    event, ping, client, beyond, both = await overhead.measure_overhead(tmp_path, repeats=1)
    assert 0 < event.value.median < 100_000
    assert "99th percentile" in ping.name
    assert ping.value.median > 0
    assert client.name.startswith("processor time per streamed chat token, 2 streams")
    assert both.value.median == pytest.approx(client.value.median + beyond.value.median)
    assert client.value.median > 0
