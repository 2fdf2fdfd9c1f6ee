"""The schema: what of the Structs gets into it, what is refused, and that committed files are its words."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from sidecar_generator.__main__ import BASELINE, SCHEMA, generated_files, main
from sidecar_generator.extract import Extractor, NotInTheModel, extract
from sidecar_generator.schema import (
    Enum,
    KindUnion,
    Schema,
    StructType,
    TaggedUnion,
    TypeRef,
    from_json,
    names_in,
    references,
    to_json,
)
from sidecar_generator.text import docstring
from sidecar_protocol.base import Params, needs, open_enum
from sidecar_protocol.methods import HOST_REQUESTS, METHODS, NOTIFICATIONS

ROOT = Path(__file__).parents[2]
THIS = sys.modules[__name__]

Colour = Literal["red", "green"]
"""What it looks like."""
Mood = Annotated[str, open_enum("good", "bad")]


class Round(Params, tag_field="type", tag="round"):
    """A ball."""

    radius: Annotated[float, msgspec.Meta(gt=0)]
    """In metres."""


class Flat(Params, tag_field="type", tag="flat"):
    """A sheet."""


Shape = Round | Flat
Anything = str | list[Shape] | Round | Flat


class Thing(Params):
    """Something."""

    shape: Shape
    anything: Anything | None = None
    colours: list[Colour] = msgspec.field(default_factory=list)
    """All it has."""
    mood: Mood = "good"
    kind: Literal["thing"] = "thing"
    labels: Annotated[dict[str, str], msgspec.Meta(max_length=3)] = msgspec.field(default_factory=dict)
    tools: Annotated[list[str] | None, needs("tools")] = None


@pytest.fixture(scope="module")
def schema() -> Schema:
    return extract()


@pytest.fixture
def thing() -> dict[str, Any]:
    extractor = Extractor()
    extractor.struct(Thing)
    return extractor.types


def test_everything_registered_is_in_it(schema: Schema) -> None:
    assert {method.name for method in schema.methods} == set(METHODS)
    assert {method.name for method in schema.host_requests} == set(HOST_REQUESTS)
    assert {item.name for item in schema.notifications} == set(NOTIFICATIONS)


def test_it_reads_as_it_was_written(schema: Schema) -> None:
    assert from_json(to_json(schema)) == schema


def test_every_name_in_it_is_declared_and_every_type_is_used(schema: Schema) -> None:
    used = {name for kind in schema.types.values() for name in references(kind)}
    assert used <= set(schema.types)
    for method in [*schema.methods, *schema.host_requests]:
        used |= {method.params, method.result, *([method.events] if method.events is not None else [])}
    used |= {item.params for item in schema.notifications} | set(schema.messages)
    used |= {kind.extends for kind in schema.types.values() if isinstance(kind, StructType) and kind.extends}
    assert used == set(schema.types)


def test_names_are_words(schema: Schema) -> None:
    for name in schema.types:
        assert re.fullmatch(r"([A-Z][a-z0-9]*)+", name), name


def test_every_type_that_needs_words_has_them(schema: Schema) -> None:
    bare = [name for name, kind in schema.types.items() if not kind.doc and not isinstance(kind, TaggedUnion)]
    assert bare == []


def test_fields_have_types_docs_and_defaults(thing: dict[str, Any]) -> None:
    fields = {item.name: item for item in thing["Thing"].fields}
    assert fields["shape"].type == TypeRef(kind="ref", name="Shape")
    assert fields["shape"].required
    assert fields["anything"].type == TypeRef(kind="ref", name="Anything", nullable=True)
    assert fields["colours"].type == TypeRef(kind="list", item=TypeRef(kind="ref", name="Colour"))
    assert (fields["colours"].doc, fields["colours"].default) == ("All it has.", [])
    assert fields["mood"].default == "good"
    assert fields["kind"].type == TypeRef(kind="constant", value="thing")
    assert fields["labels"].type == TypeRef(kind="map", item=TypeRef(kind="string"), max_length=3)
    assert fields["tools"].capability == "tools"
    assert thing["Round"].fields[0].type == TypeRef(kind="number", exclusive_minimum=0)
    assert thing["Round"].fields[0].doc == "In metres."


def test_the_three_kinds_of_union(thing: dict[str, Any]) -> None:
    shape, anything, mood = thing["Shape"], thing["Anything"], thing["Mood"]
    assert isinstance(shape, TaggedUnion)
    assert [(arm.tag, arm.type) for arm in shape.variants] == [("round", "Round"), ("flat", "Flat")]
    assert isinstance(anything, KindUnion)
    assert [arm.kind for arm in anything.variants] == ["string", "list", "ref"]
    assert list(names_in(anything.variants[2])) == ["Shape"]
    assert isinstance(mood, Enum)
    assert mood.open
    assert not thing["Colour"].open
    assert thing["Colour"].doc == "What it looks like."


@pytest.mark.parametrize(
    ("hint", "says"),
    [
        (str | list[int], "has no name"),
        (Literal["a", "b"], "has no name"),
        (Round | Params, "has no name"),
        (Literal[1], "holds what is no string"),
        (set[str], "is no type of the schema"),
        (tuple[int, int], "is no type of the schema"),
    ],
    ids=str,
)
def test_what_the_schema_has_no_word_for_is_refused(hint: Any, says: str) -> None:
    with pytest.raises(NotInTheModel, match=says):
        Extractor().ref(hint, THIS, "here")


class TestCommitted:
    def test_files_are_what_would_be_generated(self, schema: Schema) -> None:
        for path, text in generated_files(schema).items():
            assert (ROOT / path).read_text(encoding="utf-8") == text, f"{path}: run `make generate`"

    def test_links_of_the_reference_lead_somewhere(self) -> None:
        text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors: set[str] = set()
        for heading in headings:
            anchor = heading.lower().replace(".", "").replace(" ", "-")
            anchors.add(f"{anchor}-1" if anchor in anchors else anchor)
        assert len(anchors) == len(headings)
        links = set(re.findall(r"\]\(#([^)]+)\)", text))
        assert links <= anchors
        assert len(links) > 300


class TestCommand:
    def test_it_writes_what_has_changed_and_then_nothing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for folder in ("protocol", "docs", "clients/python/sidecar_client"):
            (tmp_path / folder).mkdir(parents=True)
        assert main(["--release"], tmp_path) == 0
        written = capsys.readouterr().out
        assert f"wrote {SCHEMA}" in written
        assert f"wrote {BASELINE}" in written
        assert main([], tmp_path) == 0
        assert capsys.readouterr().out == ""
        assert main(["--check"], tmp_path) == 0

        path = tmp_path / "clients/python/sidecar_client/namespaces.py"
        path.write_text(path.read_text().replace("class Chat:", "class Chats:"))
        assert main(["--check"], tmp_path) == 1
        said = capsys.readouterr().err
        assert "namespaces.py is out of date; run `make generate`" in said
        assert "-class Chats:\n+class Chat:" in said
        assert main([], tmp_path) == 0

        baseline = tmp_path / BASELINE
        released = json.loads(baseline.read_text())
        released["errors"].append("gone")
        baseline.write_text(json.dumps(released))
        assert main(["--check"], tmp_path) == 1
        assert "breaks hosts of the last release: the error code gone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ("Short.", '    """Short."""'),
        (
            "Two sentences, that is. The second is long, and has to be broken.",
            '    """Two sentences, that is.\n\n    The second is long, and has to be broken.\n    """',
        ),
        (
            "One sentence that does not fit on a line of only sixty letters.",
            '    """One sentence that does not fit on a line of only sixty\n    letters.\n    """',
        ),
        ("First.\n\nSecond\nparagraph.", '    """First.\n\n    Second paragraph.\n    """'),
    ],
)
def test_docstrings(doc: str, expected: str) -> None:
    assert docstring(doc, 4, width=64) == expected
