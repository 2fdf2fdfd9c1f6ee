"""Values of every type in msgpack and in JSON: those that are accepted and those that are not."""

import importlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from sidecar.errors import InvalidParams
from sidecar.service.dispatcher import validate_params
from sidecar_generator.extract import extract
from sidecar_generator.schema import Schema
from sidecar_generator.vectors import FOLDER, emit, type_vectors
from sidecar_generator.vectors.by_hand import ACCEPTED, REJECTED
from sidecar_generator.vectors.flaws import misspelt
from sidecar_generator.vectors.vector import roles
from sidecar_protocol.codec import decode, encode_body
from sidecar_protocol.methods import METHODS
from tests.support.fixtures import FIXTURES, Entry, fixture, from_readable, type_entries

ACCEPTED_ENTRIES = type_entries("accepted")
REJECTED_ENTRIES = type_entries("rejected")
METHOD_OF = {method.params.__name__: method for method in METHODS.values()}
PLACE = re.compile(r"(?P<what>.*?)(?: - at (?:`key` in )?`\$(?P<path>.*)`)?", re.DOTALL)
MISSING = re.compile(r"Object missing required field `(?P<name>.*)`")


def name_of(entry: Entry) -> str:
    return str(entry["name"])


def declared(entry: Entry) -> Any:
    """The type of a vector, as the protocol's module declares it."""
    return vars(importlib.import_module(f"sidecar_protocol.{entry['module']}"))[entry["type"]]


def plain_of(entry: Entry) -> object:
    """What its body holds, once it was compared with its value in JSON."""
    plain = decode(bytes.fromhex(entry["body"]))
    assert plain == from_readable(entry["value"])
    assert encode_body(plain).hex() == entry["body"]
    return plain


def parameter_of(entry: Entry) -> str:
    """What the engine calls the place; where something is missing it names what it is missing in."""
    where = entry["where"]
    if entry["flaw"] == "missing":
        where = where.rpartition(".")[0]
    return f"params.{where}" if where else "params"


def refused_at(error: msgspec.ValidationError) -> str:
    """The path to what msgspec found wrong."""
    found = PLACE.fullmatch(str(error))
    assert found is not None
    path = found["path"] or ""
    missing = MISSING.fullmatch(found["what"])
    return (f"{path}.{missing['name']}" if missing else path).removeprefix(".")


@pytest.fixture(scope="module")
def schema() -> Schema:
    return extract()


@pytest.mark.parametrize("entry", ACCEPTED_ENTRIES, ids=name_of)
def test_what_is_accepted_is_read_and_written_again_byte_for_byte(entry: Entry) -> None:
    plain = plain_of(entry)
    typed = msgspec.convert(plain, declared(entry))
    # msgspec begins a map of up to 15 keys in the longer form when its type declares more; a plain one never.
    assert encode_body(decode(encode_body(typed))).hex() == entry["body"]
    if entry["role"] == "params":
        assert validate_params(METHOD_OF[entry["type"]], plain) == typed


@pytest.mark.parametrize("entry", REJECTED_ENTRIES, ids=name_of)
def test_what_is_rejected_is_refused_where_the_vector_says(entry: Entry) -> None:
    plain = plain_of(entry)
    if entry["flaw"] != "unknown_field":
        with pytest.raises(msgspec.ValidationError) as raised:
            msgspec.convert(plain, declared(entry))
        assert refused_at(raised.value) == entry["where"]
    if entry["role"] == "params":
        with pytest.raises(InvalidParams) as refused:
            validate_params(METHOD_OF[entry["type"]], plain)
        assert refused.value.parameter == parameter_of(entry)


def test_the_counts_are_those_of_the_files() -> None:
    counts = fixture("counts.json")
    assert counts["types"] == {"accepted": len(ACCEPTED_ENTRIES), "rejected": len(REJECTED_ENTRIES)}
    codec = fixture("codec.json")
    assert counts["codec"] == {"accepted": len(codec["accept"]), "rejected": len(codec["reject"])}
    frames = fixture("frames.json")
    assert counts["frames"] == {"accepted": len(frames["accepted"]), "rejected": len(frames["rejected"])}
    assert counts["conversations"] == len(list((FIXTURES / "conversations").glob("*.json")))


def test_there_is_no_file_that_is_not_generated(schema: Schema) -> None:
    present = {f"{FOLDER}/types/{path.name}" for path in (FIXTURES / "types").iterdir()}
    assert present == {path for path in emit(schema) if path.startswith(f"{FOLDER}/types/")}


def test_they_are_the_same_each_time(schema: Schema) -> None:
    assert emit(schema) == emit(extract())


def test_names_are_unique_in_their_file() -> None:
    for entries in (ACCEPTED_ENTRIES, REJECTED_ENTRIES):
        counted = Counter((entry["module"], entry["name"]) for entry in entries)
        assert [name for name, count in counted.items() if count > 1] == []


def test_every_type_that_crosses_the_wire_has_both_kinds(schema: Schema) -> None:
    part = roles(schema)
    assert {entry["type"] for entry in ACCEPTED_ENTRIES} == set(part)
    without_a_flaw = set(part) - {entry["type"] for entry in REJECTED_ENTRIES}
    # An open enum refuses other kinds of value; an object without fields refuses nothing.
    assert all(not getattr(schema.types[name], "fields", None) for name in without_a_flaw), without_a_flaw


def test_every_field_is_in_an_accepted_vector_and_every_required_one_is_missing_from_a_rejected_one(
    schema: Schema,
) -> None:
    shown = {(entry["type"], key) for entry in ACCEPTED_ENTRIES for key in keys_of(entry["value"])}
    missing = {(entry["type"], entry["where"]) for entry in REJECTED_ENTRIES if entry["flaw"] == "missing"}
    for name in roles(schema):
        for item in getattr(schema.types[name], "fields", ()):
            assert (name, item.name) in shown
            assert not item.required or (name, item.name) in missing


def test_no_float_is_whole() -> None:
    """JavaScript writes 1 for 1.0."""
    values = [entry["value"] for entry in (*ACCEPTED_ENTRIES, *REJECTED_ENTRIES)]
    assert [value for value in floats_in(values) if value.is_integer()] == []


def test_the_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*.json")) < 3 * 2**20


def test_those_written_by_hand_are_in_them(schema: Schema) -> None:
    accepted, rejected = type_vectors(schema, roles(schema))
    assert set(map(id, ACCEPTED)) <= set(map(id, accepted))
    assert set(map(id, REJECTED)) <= set(map(id, rejected))
    assert all(vector.type in schema.types for vector in (*ACCEPTED, *REJECTED))


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["model", "messages"], "message"), (["a", "ab", "abc"], ""), ([], "no_such_field")],
)
def test_a_misspelt_field_is_none_of_the_others(names: list[str], expected: str) -> None:
    assert misspelt(names) == expected
    assert misspelt(names) not in names


def keys_of(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value


def floats_in(value: object) -> Iterator[float]:
    match value:
        case float():
            yield value
        case dict():
            for item in value.values():
                yield from floats_in(item)
        case list():
            for item in value:
                yield from floats_in(item)
