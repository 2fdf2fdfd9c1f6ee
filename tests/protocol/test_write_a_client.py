"""What docs/write-a-client.md says in numbers, names and examples is what holds."""

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from sidecar.config import APP_ID_PATTERN
from sidecar.lifecycle.spawn import SPAWN_LINE_SECONDS
from sidecar_client import Liveness
from sidecar_generator.vectors.vector import FlawKind
from sidecar_protocol.envelope import Header, Kind
from sidecar_protocol.handshake import ConnectionFile, Hello, ReadyLine, SpawnLine, StartError, Welcome
from sidecar_protocol.limits import (
    DEFAULT_CREDIT,
    LIMITS,
    MAX_HANDSHAKE_LINE_BYTES,
    MAX_HEADER_BYTES,
    MAX_ID,
    MAX_READY_LINE_BYTES,
)
from sidecar_protocol.methods import METHODS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "write-a-client.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """What follows a heading, up to the next one."""
    return re.split(r"^#+ ", PAGE.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> list[str]:
    return [row for row in re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE) if set(row) != {"-"}][1:]


def test_the_header_has_these_fields_in_this_order_and_these_kinds() -> None:
    assert tuple(first_column(section("A message"))) == Header.__struct_encode_fields__
    kinds = next(line for line in PAGE.splitlines() if line.startswith("| k "))
    assert set(re.findall(r"`(\w+)`", kinds)) == set(Kind)
    assert MAX_ID == 2**53 - 1


@pytest.mark.parametrize(
    ("title", "words", "number"),
    [
        ("A message", "at most 4 KiB", MAX_HEADER_BYTES // 2**10),
        ("The rules of msgpack", "At most 64 levels", LIMITS.depth),
        ("The rules of msgpack", "At most 262,144 list items", LIMITS.elements),
        ("The rules of msgpack", "at most 16 MiB", LIMITS.message_bytes // 2**20),
        ("Start a sidecar", "at most 64 KiB", MAX_HANDSHAKE_LINE_BYTES // 2**10),
        ("Start a sidecar", "at most 4 KiB", MAX_READY_LINE_BYTES // 2**10),
        ("Start a sidecar", "has 30 seconds of patience", SPAWN_LINE_SECONDS),
        ("Connect", "64 MiB", LIMITS.frame_bytes // 2**20),
        ("Requests", "(32 without it)", DEFAULT_CREDIT),
        ("Requests", "`welcome.limits.credit` (256)", LIMITS.credit),
        ("Requests", "past 256 KiB", LIMITS.held_bytes // 2**10),
        ("Notifications, pings and the end", "for 5 seconds", Liveness().ping_seconds),
        ("Notifications, pings and the end", "for 15 seconds", Liveness().frozen_seconds),
        ("Notifications, pings and the end", "after 15 seconds", Liveness().heartbeat_timeout_seconds),
    ],
)
def test_numbers(title: str, words: str, number: float) -> None:
    text = " ".join(section(title).split())
    assert words in text
    digits = re.search(r"\d[\d,]*", words)
    assert digits is not None
    assert int(digits[0].replace(",", "")) == number


def test_the_lines_of_a_start_are_read() -> None:
    lines = re.findall(r"`?(\{\"\w+\":.*\})`?", section("Start a sidecar"))
    spawn, ready, refusal = (line.partition("`")[0] for line in lines)
    assert APP_ID_PATTERN.fullmatch(str(msgspec.json.decode(spawn, type=SpawnLine).options["app_id"]))
    assert msgspec.json.decode(ready, type=ReadyLine).ready == 1
    assert msgspec.json.decode(refusal, type=StartError).error.code


def test_names_of_fields_are_those_of_the_types() -> None:
    attach = section("Attach to one that runs")
    assert set(ConnectionFile.__struct_fields__) <= set(re.findall(r"`(\w+)`", attach))
    connect = section("Connect")
    for kind in (Hello, Welcome):
        assert all(f"{name}: " in connect for name in kind.__struct_fields__)
    assert "grace_ms" in METHODS["engine.shutdown"].params.__struct_fields__


def test_every_flaw_is_explained() -> None:
    assert set(re.findall(r"\w+", " ".join(first_column(section("Test it"))))) == set(get_args(FlawKind))


def test_links_and_paths_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (DOCS / link).exists(), link
    for path in re.findall(r"`((?:protocol|tests)/[\w/.]+)`", PAGE):
        assert (DOCS.parent / path).exists(), path
    for name in re.findall(r"^\*\*([\w/\\*]+\.json)\.\*\*", PAGE, re.MULTILINE):
        assert list((DOCS.parent / "protocol/fixtures").glob(name.replace("\\", ""))), name


def test_the_rest_of_the_fixtures_is_named() -> None:
    fixtures = DOCS.parent / "protocol/fixtures"
    assert json.loads((fixtures / "counts.json").read_text())
    for path in fixtures.iterdir():
        assert path.stem in section("Test it"), path.name
