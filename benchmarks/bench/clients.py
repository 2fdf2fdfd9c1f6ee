"""Each client against its bars: a ping, 3,000 tokens a second, a host's timer while a model runs."""

from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.bench.drivers import ENGINE, Driver, Language
from benchmarks.bench.engines import MODEL, sidecar_options
from benchmarks.bench.paced import PACED
from benchmarks.bench.paced_sidecar import paced_command
from benchmarks.bench.processor import processor_seconds, tells_threads, transport_seconds
from benchmarks.bench.rows import Bar, Row, row
from benchmarks.summary import percentile
from sidecar_client.engine import default_command

PINGS = 500
WARM_UP_PINGS = 50
PING_BAR = Bar(500)

STREAMS = 32
TOKENS_PER_SECOND = 3_000
STEP_SECONDS = STREAMS / (TOKENS_PER_SECOND * 1.05)
"""A little faster than the bar, since requests begin and end."""
ANSWER_TOKENS = 230
"""As many as all streams together have room for in the cache of the built-in model."""
PROMPT = "Sing."
SPEED_BAR = Bar(TOKENS_PER_SECOND, at_least=True)
TRANSPORT_BAR = Bar(12)
GROWTH_BAR = Bar(2)

HERTZ = 60
TIMER_SECONDS = 5
TIMER_STREAMS = 4
CALIBRATION_TOKENS = 48
TIMER_BAR = Bar(5)


def measure_clients(folder: Path, languages: Sequence[Language], *, repeats: int) -> list[Row]:
    """Rows of every client that runs here."""
    rows: list[Row] = []
    for measure in (_ping_rows, _stream_rows, _timer_rows):
        for language in languages:
            rows += measure(folder, language, repeats)
    return rows


def _ping_rows(folder: Path, language: Language, repeats: int) -> list[Row]:
    medians, slowest = [], []
    with Driver(language.command) as driver:
        driver.spawn(default_command(), sidecar_options(folder, executor=PACED))
        driver.begin("measure_pings", "warm", engine=ENGINE, count=WARM_UP_PINGS)
        driver.measured("warm")
        for index in range(repeats):
            driver.begin("measure_pings", f"pings {index}", engine=ENGINE, count=PINGS)
            times = driver.measured(f"pings {index}")["microseconds"]
            medians.append(percentile(times, 0.5))
            slowest.append(percentile(times, 0.99))
    name = f"engine.ping, {language.name} client (99th percentile {percentile(slowest, 0.5):,.0f} µs)"
    return [row(name, "µs", medians, PING_BAR)]


def _stream_rows(folder: Path, language: Language, repeats: int) -> list[Row]:
    """Many tokens a second from an engine that takes no processor, so that what carries them is left."""
    speeds, transport, client_us, growth = [], [], [], []
    with Driver(language.command) as driver:
        pid = driver.spawn(paced_command(STEP_SECONDS), sidecar_options(folder, executor=PACED))
        sidecar = psutil.Process(pid)
        params: dict[str, object] = {"prompt": PROMPT, "max_tokens": ANSWER_TOKENS}
        _stream(driver, "warm", params, STREAMS)
        for index in range(repeats):
            resident = sidecar.memory_info().rss
            carried, client = transport_seconds(pid), processor_seconds(driver.pid)
            seconds = _stream(driver, f"run {index}", params, STREAMS)
            tokens = STREAMS * ANSWER_TOKENS
            speeds.append(tokens / seconds)
            transport.append((transport_seconds(pid) - carried) / tokens * TOKENS_PER_SECOND * 100)
            client_us.append((processor_seconds(driver.pid) - client) / tokens * 1e6)
            growth.append((sidecar.memory_info().rss - resident) / 1e6)
    name = f"{STREAMS} streams of generate.create, {language.name} client"
    rows = [row(f"{name}: tokens", "tokens/s", speeds, SPEED_BAR)]
    if tells_threads():
        rows.append(
            row(
                f"{name}: sidecar's transport at {TOKENS_PER_SECOND:,} tokens/s, of one core",
                "%",
                transport,
                TRANSPORT_BAR,
            )
        )
    return [
        *rows,
        row(f"{name}: memory the sidecar grew by", "MB", growth, GROWTH_BAR),
        row(f"{name}: processor time of the client per token", "µs", client_us),
    ]


def _timer_rows(folder: Path, language: Language, repeats: int) -> list[Row]:
    """The host's own timer beside a model that takes as many threads as it likes."""
    options = sidecar_options(folder)
    del options["threads"]
    missed = []
    with Driver(language.command) as driver:
        driver.spawn(default_command(), options)
        params = {"model": MODEL, "prompt": PROMPT, "temperature": 0.0, "ignore_eos": True}
        calibration = {**params, "max_tokens": CALIBRATION_TOKENS}
        _stream(driver, "load", calibration, TIMER_STREAMS)
        seconds = _stream(driver, "calibrate", calibration, TIMER_STREAMS)
        tokens = round(CALIBRATION_TOKENS / seconds * TIMER_SECONDS * 1.5)
        for index in range(repeats):
            _begin_streams(driver, f"run {index}", {**params, "max_tokens": tokens}, TIMER_STREAMS)
            driver.begin("measure_timer", f"timer {index}", hertz=HERTZ, seconds=TIMER_SECONDS)
            timer = driver.measured(f"timer {index}")
            generated = driver.measured(f"run {index}")["seconds"]
            if generated < TIMER_SECONDS:
                print(f"the engine generated for {generated:.1f} s only, the timer ran for {TIMER_SECONDS} s")
            missed.append(100 * timer["missed"] / (HERTZ * TIMER_SECONDS))
    name = f"{HERTZ} Hz timer beside {TIMER_STREAMS} streams of the model, {language.name} host: ticks missed"
    return [row(name, "%", missed, TIMER_BAR)]


def _stream(driver: Driver, name: str, params: dict[str, object], streams: int) -> float:
    """Seconds until all streams have ended."""
    _begin_streams(driver, name, params, streams)
    return float(driver.measured(name)["seconds"])


def _begin_streams(driver: Driver, name: str, params: dict[str, object], streams: int) -> None:
    driver.begin(
        "measure_streams", name, engine=ENGINE, streams=streams, method="generate.create", params=params
    )
