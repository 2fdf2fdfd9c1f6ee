"""The bench: bars and rows, and its measurements with a real sidecar that runs no real model."""

import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks.bench import __main__ as bench
from benchmarks.bench import clients, overhead, rows, token_cost
from benchmarks.bench.drivers import LANGUAGES, Driver, DriverFailed, Language, available
from benchmarks.bench.paced import paced_engine
from benchmarks.bench.processor import processor_seconds, tells_threads, transport_seconds
from benchmarks.bench.rows import Bar, BenchResults, Verdict, number, row
from benchmarks.bench.start import ready_line_ms
from benchmarks.machine import this_machine
from sidecar.generation import GenerationParams


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


def test_an_event_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overhead, "EVENTS", 10)
    assert 0 < overhead.measure_event(repeats=2).value.median < 100_000


def test_paced_steps_take_their_time_and_say_the_same_as_the_scripted_executor() -> None:
    with paced_engine(0.01) as engine:
        started = time.monotonic()
        output = engine.generate(engine.tokenize("Sing."), GenerationParams(max_tokens=7))
        assert time.monotonic() - started >= 0.06
    assert output.text in "la la la la la "
    assert len(output.text) == 7


@pytest.mark.skipif(not tells_threads(), reason="this system does not tell the time of single threads")
def test_processor_time_of_a_process_holds_that_of_its_transport() -> None:
    before = processor_seconds(os.getpid())
    deadline = time.process_time() + 0.05
    while time.process_time() < deadline:
        pass
    assert 0.04 < processor_seconds(os.getpid()) - before < 1
    assert 0 < transport_seconds(os.getpid()) <= processor_seconds(os.getpid())


def test_a_clients_rows_come_from_real_sidecars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PINGS": 5,
        "STREAMS": 4,
        "ANSWER_TOKENS": 6,
        "TIMER_SECONDS": 0.25,
        "CALIBRATION_TOKENS": 4,
    }.items():
        monkeypatch.setattr(clients, name, value)
    found = clients.measure_clients(tmp_path, LANGUAGES[:1], repeats=1)
    by_unit = {row.unit: row.value.median for row in found if row.unit != "%"}
    assert found[0].name.startswith("engine.ping, Python client")
    assert 0 < by_unit["µs"] < 1_000_000
    assert 0 < by_unit["tokens/s"] < 100_000
    shares = [row.value.median for row in found if row.unit == "%"]
    assert len(shares) == 1 + tells_threads()
    assert all(0 <= share <= 100 for share in shares)


async def test_a_tokens_cost_is_compared_with_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_cost, "STEP_SECONDS", 0.001)
    monkeypatch.setattr(token_cost, "ANSWER_TOKENS", {2: 20})
    client, beyond, both, http, share = await token_cost.measure_token_cost(tmp_path, repeats=1)
    assert client.name.startswith("processor time per streamed chat token, 2 streams")
    assert both.value.median == pytest.approx(client.value.median + beyond.value.median)
    assert share.value.median == pytest.approx(100 * both.value.median / http.value.median)
    assert http.value.median > 0


def test_a_client_whose_tool_is_missing_is_left_out_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd = Language("Odd", ["odd"], "no-such-tool-anywhere")
    broken = Language("Broken", ["broken"], sys.executable, [sys.executable, "-c", "raise SystemExit(1)"])
    assert available([LANGUAGES[0], odd, broken]) == [LANGUAGES[0]]
    said = capsys.readouterr().out
    assert "the Odd client: no-such-tool-anywhere does not run here" in said
    assert "the Broken client: `" in said


def test_a_driver_that_fails_says_what_it_said() -> None:
    with Driver(LANGUAGES[0].command) as driver:
        driver.tell({"do": "dance"})
        with pytest.raises(DriverFailed, match="bad_command"):
            driver.measured("nothing")
