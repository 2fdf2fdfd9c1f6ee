"""JSON lines that never stall the process."""

import asyncio
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator

import pytest

from sidecar.lifecycle.logging import QUEUE_RECORDS, TAP_RECORDS, LogStream


@pytest.fixture
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("root_logger")
def test_records_become_json_lines_with_level_logger_and_traceback() -> None:
    reader, writer = os.pipe()
    stream = LogStream(writer, "info")
    stream.install()
    log = logging.getLogger("sidecar.test")
    log.debug("hidden")
    log.warning("a %s", "message")
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        log.exception("failed")
    stream.set_log_level("debug")
    log.debug("now shown")
    stream.finish(5)
    os.close(writer)
    with os.fdopen(reader) as file:
        lines = [json.loads(line) for line in file]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("warning", "a message"),
        ("error", "failed"),
        ("debug", "now shown"),
    ]
    assert lines[0]["logger"] == "sidecar.test"
    assert "RuntimeError: broken" in lines[1]["fields"]["exception"]


@pytest.mark.usefixtures("root_logger")
def test_a_reader_that_never_reads_stalls_nothing_and_what_was_dropped_is_told() -> None:
    reader, writer = os.pipe()
    stream = LogStream(writer, "info")
    stream.install()
    log = logging.getLogger("sidecar.test")
    for number in range(3 * QUEUE_RECORDS):
        log.info("record %d %s", number, "x" * 1000)
    seen = b""
    with os.fdopen(reader, "rb") as file:
        while b"record 0 " not in seen:
            seen += file.readline()
        while f"record {QUEUE_RECORDS // 2} ".encode() not in file.readline():
            continue
        log.info("after the gap")
        while b"after the gap" not in seen:
            seen += file.readline()
    stream.finish(5)
    os.close(writer)
    assert b"log records were dropped" in seen


@pytest.mark.usefixtures("root_logger")
def test_a_closed_stderr_is_survived() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = LogStream(writer, "info")
    stream.install()
    logging.getLogger("sidecar.test").info("to nobody")
    stream.finish(5)
    os.close(writer)
    assert not stream._writer.is_alive()


@pytest.mark.usefixtures("root_logger")
async def test_a_tap_hears_records_until_it_is_stopped() -> None:
    _, writer = os.pipe()
    stream = LogStream(writer, "info")
    stream.install()
    heard: asyncio.Queue[object] = asyncio.Queue()
    stop = stream.tap(lambda record: heard.put_nowait(record["message"]))
    log = logging.getLogger("sidecar.test")
    log.info("one")
    assert await asyncio.wait_for(heard.get(), 5) == "one"
    stop()
    log.info("two")
    await asyncio.sleep(0)
    assert heard.empty()
    stream.finish(5)


@pytest.mark.usefixtures("root_logger")
async def test_a_tap_whose_loop_is_busy_misses_records_and_holds_a_bounded_number() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = LogStream(writer, "info")
    stream.install()
    heard: list[object] = []
    stop = stream.tap(lambda record: heard.append(record["message"]))
    log = logging.getLogger("sidecar.test")
    for number in range(TAP_RECORDS + 500):
        log.info("%d", number)
    await asyncio.sleep(0)
    assert heard == [str(number) for number in range(TAP_RECORDS)]
    log.info("again")
    await asyncio.sleep(0)
    assert heard[-1] == "again"
    stop()
    stream.finish(5)


@pytest.mark.usefixtures("root_logger")
def test_prints_and_warnings_become_records_until_the_end() -> None:
    reader, writer = os.pipe()
    before = (sys.stdout, sys.stderr)
    stream = LogStream(writer, "info")
    stream.install()
    stream.capture_prints()
    print("a library ", end="")
    print("talks\nand talks")
    print("a complaint", file=sys.stderr)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("something old", DeprecationWarning, stacklevel=1)
    stream.finish(5)
    os.close(writer)
    assert (sys.stdout, sys.stderr) == before
    with os.fdopen(reader) as file:
        lines = [json.loads(line) for line in file]
    assert [(line["logger"], line["message"]) for line in lines[:3]] == [
        ("stdout", "a library talks"),
        ("stdout", "and talks"),
        ("stderr", "a complaint"),
    ]
    assert lines[3]["level"] == "warning"
    assert "something old" in lines[3]["message"]


@pytest.mark.usefixtures("root_logger")
def test_a_log_call_whose_arguments_do_not_fit_raises_nothing() -> None:
    reader, writer = os.pipe()
    stream = LogStream(writer, "info")
    stream.install()
    logging.getLogger("sidecar.test").info("%d tokens", "many")
    logging.getLogger("sidecar.test").info("a name: %s", "\udcff")
    stream.finish(5)
    os.close(writer)
    with os.fdopen(reader) as file:
        first, second = (json.loads(line)["message"] for line in file)
    assert "%d tokens" in first
    assert "do not fit" in first
    assert second == "a name: ?"
