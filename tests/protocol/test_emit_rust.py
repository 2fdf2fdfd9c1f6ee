"""The Rust emitter: names, fields that may be left out, unions, and the form rustfmt leaves."""

import re
from pathlib import Path

from sidecar_generator.__main__ import main, no_longer_generated, write
from sidecar_generator.emit.rust import emit
from sidecar_generator.emit.rust_types import arm_name, doc_lines, events_name, variable
from sidecar_generator.extract import extract
from sidecar_generator.schema import (
    Enum,
    Field,
    KindUnion,
    Method,
    Namespace,
    Schema,
    StructType,
    TaggedUnion,
    Type,
    TypeRef,
    Variant,
)

STRING = TypeRef(kind="string")
TYPES: list[Type] = [
    StructType(
        name="Throw",
        module="balls",
        doc="Throw one.",
        fields=[
            Field(name="ball", type=TypeRef(kind="ref", name="Ball"), required=True),
            Field(name="to", type=TypeRef(kind="list", item=STRING), required=True),
            Field(name="type", type=STRING, doc="How."),
            Field(name="maxHeight", type=TypeRef(kind="number"), default=1.5),
            Field(name="stream", type=TypeRef(kind="boolean"), default=False),
        ],
    ),
    StructType(
        name="Thrown",
        module="balls",
        doc="It was thrown.",
        fields=[
            Field(name="object", type=TypeRef(kind="constant", value="thrown"), required=True),
            Field(name="caught", type=TypeRef(kind="boolean"), default=False),
            Field(name="by", type=TypeRef(kind="ref", name="Who", nullable=True)),
        ],
    ),
    StructType(
        name="Red",
        module="balls",
        doc="A red one.",
        fields=[Field(name="inside", type=TypeRef(kind="ref", name="Ball"))],
        tag_field="colour",
        tag="red",
    ),
    TaggedUnion(name="Ball", module="balls", tag_field="colour", variants=[Variant(tag="red", type="Red")]),
    StructType(name="Bounced", module="balls", doc="It bounced.", fields=[], tag_field="type", tag="bounced"),
    KindUnion(name="Who", module="balls", variants=[STRING, TypeRef(kind="ref", name="Side")]),
    Enum(name="Side", module="balls", values=["far_left", "thisOne"], open=True),
]


def schema() -> Schema:
    throw = Method(
        name="balls.throw",
        direction="host_to_engine",
        doc="Throw a ball.",
        params="Throw",
        result="Thrown",
        events="Bounced",
        since=1,
    )
    errors = {name: kind for name, kind in extract().types.items() if kind.module == "errors"}
    return Schema(
        protocol=1,
        namespaces=[Namespace(name="balls", doc="balls.")],
        methods=[throw],
        host_requests=[],
        notifications=[],
        capabilities=[],
        errors=[],
        common_errors=[],
        limits={},
        message_kinds=[],
        messages=[],
        types=errors | {kind.name: kind for kind in TYPES},
    )


def balls() -> str:
    return emit(schema())["clients/rust/src/types/balls.rs"]


def test_params_take_what_must_be_given_and_set_the_rest() -> None:
    text = balls()
    assert "    pub ball: Ball,\n    pub to: Vec<String>,\n    /// How.\n" in text
    assert "    pub r#type: Option<String>," in text
    assert 'rename = "maxHeight"' in text
    assert "pub max_height: Option<f64>," in text
    assert "stream" not in text.replace("streams", "")
    constructor = (
        "    pub fn new(ball: impl Into<Ball>, to: impl IntoIterator<Item = impl Into<String>>) -> Self {\n"
    )
    assert constructor in text
    assert "            to: to.into_iter().map(Into::into).collect(),\n            r#type: None,\n" in text
    assert "        /// How.\n        r#type: String,\n        max_height: f64,\n" in text


def test_results_cannot_be_made_and_have_their_defaults() -> None:
    text = balls()
    assert "#[non_exhaustive]\npub struct Thrown {\n    pub object: String,\n" in text
    assert 'skip_serializing_if = "is_default")]\n    pub caught: bool,' in text
    assert "pub by: Option<Who>," in text
    assert "impl Thrown" not in text


def test_a_type_inside_itself_is_boxed_and_carries_its_tag() -> None:
    text = balls()
    assert '#[serde(tag = "colour", rename = "red")]\npub struct Red {' in text
    assert "pub inside: Option<Box<Ball>>," in text


def test_unions_and_enums() -> None:
    text = balls()
    assert '    pub enum Ball by "colour" {\n        Red(Red) = "red",\n' in text
    assert "kind_union! {\n    pub enum Who {\n        String(String),\n        Side(Side),\n" in text
    assert "impl From<&str> for Who {" in text
    assert (
        'open_enum! {\n    pub enum Side {\n        FarLeft = "far_left",\n        ThisOne = "thisOne",\n'
        in text
    )
    assert '    pub enum BallsThrowEvent by "type" {\n        Bounced(Bounced) = "bounced",\n' in text


def test_calls_and_their_streams() -> None:
    text = emit(schema())["clients/rust/src/namespaces.rs"]
    call = "    pub async fn throw(self, params: &Throw) -> Result<Thrown, Error> {\n"
    assert call + '        self.0.call("balls.throw", params).await\n' in text
    stream = "    pub fn throw_stream(self, params: &Throw) -> EventStream<BallsThrowEvent, Thrown> {\n"
    assert stream + '        self.0.stream("balls.throw", params)\n' in text


def test_names() -> None:
    assert arm_name("response.output_text.delta") == "ResponseOutputTextDelta"
    assert arm_name("endTurn") == "EndTurn"
    assert arm_name("ref/prompt") == "RefPrompt"
    assert variable(Field(name="_meta", type=STRING)) == "meta"
    assert variable(Field(name="mimeType", type=STRING)) == "mime_type"
    assert doc_lines("One.\n\nTwo.", 4) == ["    /// One.", "    ///", "    /// Two."]


def test_every_method_has_its_call_and_every_stream_its_events() -> None:
    real = extract()
    files = emit(real)
    calls = files["clients/rust/src/namespaces.rs"]
    types = "".join(text for path, text in files.items() if "/types/" in path)
    for method in real.methods:
        assert f'"{method.name}"' in calls or method.name.startswith("engine.")
        assert f"pub struct {method.params} {{" in types
        if method.events is not None:
            assert f"pub enum {events_name(real, method)} by" in types
    asked = files["clients/rust/src/from_engine.rs"]
    for method in real.host_requests:
        assert f"impl HostRequest for {method.params} {{" in asked
    for notification in real.notifications:
        assert f'"{notification.name}" => ' in asked


def test_the_vectors_tests_know_every_type_that_is_generated() -> None:
    real = extract()
    files = emit(real)
    types = "".join(text for path, text in files.items() if "/types/" in path)
    defined = set(re.findall(r"^ *pub (?:struct|enum) (\w+)", types, re.MULTILINE))
    listed = set(re.findall(r"^    (\w+),$", files["clients/rust/src/vectors/by_name.rs"], re.MULTILINE))
    unions_of_one = {events_name(real, method) for method in real.methods if method.events is not None}
    assert listed
    assert defined - listed == unions_of_one - real.types.keys()
    assert listed <= defined


def test_notifications_are_serialized_by_their_names() -> None:
    asked = emit(extract())["clients/rust/src/from_engine.rs"]
    assert '    #[serde(rename = "models.changed")]\n    ModelsChanged(ModelsChanged),\n' in asked
    assert "    #[serde(untagged)]\n    Unknown {\n" in asked


def test_what_a_removed_module_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "clients/rust/src/types/balls.rs"
    by_hand = left.with_name("macros.rs")
    write(emit(schema()), tmp_path)
    by_hand.write_text("//! Written by hand.\n", encoding="utf-8")
    files = {path: text for path, text in emit(schema()).items() if not path.endswith("/balls.rs")}
    assert no_longer_generated(emit(schema()), tmp_path) == []
    assert no_longer_generated(files, tmp_path) == ["clients/rust/src/types/balls.rs"]
    assert main([], root=tmp_path) == 0
    assert not left.exists()
    assert by_hand.exists()
