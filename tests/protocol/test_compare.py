"""Each rule on a small protocol: what it finds, and what is free."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sidecar_generator import compare
from sidecar_generator.compare import RULES, breaking_changes
from sidecar_generator.schema import (
    Capability,
    Enum,
    Field,
    KindUnion,
    Method,
    Notification,
    Schema,
    StructType,
    TaggedUnion,
    Type,
    TypeRef,
    Variant,
)

STRING = TypeRef(kind="string")
INTEGER = TypeRef(kind="integer")


def ref(name: str, **more: Any) -> TypeRef:
    return TypeRef(kind="ref", name=name, **more)


def listed(item: TypeRef, **more: Any) -> TypeRef:
    return TypeRef(kind="list", item=item, **more)


def required(name: str, kind: TypeRef) -> Field:
    return Field(name=name, type=kind, required=True)


def struct(name: str, *fields: Field, **more: Any) -> StructType:
    return StructType(name=name, module="m", doc="", fields=list(fields), **more)


TYPES: list[Type] = [
    struct(
        "Ask",
        required("text", STRING),
        Field(name="limit", type=TypeRef(kind="integer", minimum=1, maximum=10), default=5),
        Field(name="mode", type=ref("Mode"), default="fast"),
        Field(name="stop", type=ref("Stop", nullable=True)),
        Field(name="items", type=listed(ref("Item"), max_length=20), default=[]),
        Field(name="labels", type=TypeRef(kind="map", item=STRING), default={}),
    ),
    struct(
        "Answer",
        required("text", STRING),
        required("state", ref("State")),
        required("level", ref("Level")),
        required("count", INTEGER),
        Field(name="note", type=TypeRef(kind="string", nullable=True)),
        Field(name="value", type=ref("Value"), default=""),
    ),
    struct("Text", required("text", STRING), tag_field="type", tag="text"),
    struct("Picture", required("url", STRING), tag_field="type", tag="picture"),
    struct("Piece", required("delta", STRING), tag_field="type", tag="piece", coalesce="concat"),
    struct("Step", required("done", INTEGER), tag_field="type", tag="step", coalesce="keep_last"),
    struct("Changed", required("what", STRING)),
    struct("Approve", required("name", STRING)),
    struct("Decision", required("decision", ref("Verdict"))),
    TaggedUnion(
        name="Item",
        module="m",
        tag_field="type",
        variants=[Variant(tag="text", type="Text"), Variant(tag="picture", type="Picture")],
    ),
    TaggedUnion(
        name="AskEvent",
        module="m",
        tag_field="type",
        variants=[Variant(tag="piece", type="Piece"), Variant(tag="step", type="Step")],
    ),
    KindUnion(name="Stop", module="m", variants=[STRING, listed(STRING)]),
    KindUnion(name="Value", module="m", variants=[STRING, INTEGER]),
    Enum(name="Mode", module="m", values=["fast", "exact"]),
    Enum(name="Level", module="m", values=["low", "high"]),
    Enum(name="Verdict", module="m", values=["allow", "deny"]),
    Enum(name="State", module="m", values=["ready", "failed"], open=True),
]
BEFORE = Schema(
    protocol=1,
    namespaces=[],
    methods=[
        Method(
            name="a.ask",
            direction="host_to_engine",
            doc="",
            params="Ask",
            result="Answer",
            events="AskEvent",
            idempotent=True,
            cancellable=True,
            since=1,
        )
    ],
    host_requests=[
        Method(
            name="host.approve",
            direction="engine_to_host",
            doc="",
            params="Approve",
            result="Decision",
            since=1,
        )
    ],
    notifications=[Notification(name="a.changed", doc="", params="Changed", since=1)],
    capabilities=[Capability(name="a", doc="")],
    errors=["internal"],
    common_errors=["internal"],
    limits={"message_bytes": 100, "streams": 8},
    message_kinds=["req", "res"],
    messages=[],
    types={kind.name: kind for kind in TYPES},
)

Alter = Callable[[Schema], Schema]


def having(**parts: object) -> Alter:
    return lambda schema: msgspec.structs.replace(schema, **parts)


def method(**parts: object) -> Alter:
    return having(methods=[msgspec.structs.replace(BEFORE.methods[0], **parts)])


def with_type(kind: Type) -> Alter:
    return lambda schema: msgspec.structs.replace(schema, types={**schema.types, kind.name: kind})


def without_type(name: str) -> Alter:
    return having(types={key: kind for key, kind in BEFORE.types.items() if key != name})


def altered(name: str, **parts: object) -> Alter:
    return with_type(msgspec.structs.replace(BEFORE.types[name], **parts))


def field(name: str, field_name: str, **parts: object) -> Alter:
    fields = [
        msgspec.structs.replace(item, **parts) if item.name == field_name else item
        for item in BEFORE.struct(name).fields
    ]
    return altered(name, fields=fields)


def more_fields(name: str, *fields: Field) -> Alter:
    return altered(name, fields=[*BEFORE.struct(name).fields, *fields])


def no_field(name: str, field_name: str) -> Alter:
    return altered(name, fields=[item for item in BEFORE.struct(name).fields if item.name != field_name])


OPTIONAL = Field(name="new", type=STRING, default="")
NEW_METHOD = Method(name="a.new", direction="host_to_engine", doc="", params="Ask", result="Answer", since=1)
PIECE = Variant(tag="piece", type="Piece")

BREAKS: list[tuple[str, Alter, str]] = [
    ("removed_methods", having(methods=[]), "a.ask was removed"),
    ("removed_methods", having(host_requests=[]), "host.approve was removed"),
    ("replaced_params_and_results", method(params="Changed"), "a.ask: params were Ask, now Changed"),
    ("replaced_params_and_results", method(result="Ask"), "a.ask: result were Answer, now Ask"),
    ("lost_events", method(events=None), "a.ask no longer streams Piece"),
    ("lost_events", method(events="Piece"), "a.ask no longer streams Step"),
    ("withdrawn_promises", method(idempotent=False), "no idempotency key"),
    ("withdrawn_promises", method(cancellable=False), "cannot be cancelled"),
    ("withdrawn_promises", method(debug_only=True), "debug connections alone"),
    ("new_conditions", method(capability="a"), "a.ask needs the capability a now"),
    ("removed_notifications", having(notifications=[]), "the notification a.changed was removed"),
    (
        "removed_notifications",
        having(notifications=[Notification(name="a.changed", doc="", params="Ask", since=1)]),
        "a.changed carried Changed, now Ask",
    ),
    ("removed_words", having(errors=[]), "the error code internal was removed"),
    ("removed_words", having(message_kinds=["req"]), "the message kind res was removed"),
    ("removed_words", having(capabilities=[]), "the capability a was removed"),
    ("moved_limits", having(limits={"message_bytes": 100}), "the limit streams was removed"),
    ("moved_limits", having(limits={"message_bytes": 100, "streams": 7}), "streams fell from 8 to 7"),
    (
        "moved_limits",
        having(limits={"message_bytes": 101, "streams": 8}),
        "message_bytes rose from 100 to 101",
    ),
    ("removed_types", without_type("Picture"), "the type Picture was removed"),
    ("removed_types", with_type(Enum(name="Text", module="m", values=["x"])), "Text was a StructType"),
    ("removed_fields", no_field("Ask", "limit"), "Ask.limit was removed"),
    ("removed_fields", no_field("Answer", "count"), "Answer.count was removed"),
    ("newly_required_fields", more_fields("Ask", required("new", STRING)), "Ask.new is required now"),
    ("newly_required_fields", more_fields("Text", required("new", STRING)), "Text.new is required now"),
    ("newly_required_fields", field("Ask", "limit", required=True), "Ask.limit is required now"),
    ("no_longer_given_fields", field("Answer", "count", required=False), "Answer.count may be missing now"),
    ("no_longer_given_fields", field("Changed", "what", required=False), "Changed.what may be missing now"),
    ("changed_defaults", field("Ask", "limit", default=6), "Ask.limit: the default was 5, now 6"),
    ("changed_defaults", field("Answer", "value", default="x"), "Answer.value: the default was '', now 'x'"),
    (
        "new_conditions_on_fields",
        field("Ask", "limit", capability="a"),
        "Ask.limit needs the capability a now",
    ),
    ("changed_field_types", field("Ask", "text", type=INTEGER), "Ask.text takes fewer values"),
    ("changed_field_types", field("Ask", "stop", type=ref("Stop")), "Ask.stop takes fewer values"),
    ("changed_field_types", field("Ask", "stop", type=STRING), "Ask.stop takes fewer values"),
    (
        "changed_field_types",
        field("Ask", "limit", type=TypeRef(kind="integer", minimum=2, maximum=10)),
        "fewer",
    ),
    (
        "changed_field_types",
        field("Ask", "limit", type=TypeRef(kind="integer", minimum=1, maximum=9)),
        "fewer",
    ),
    ("changed_field_types", field("Ask", "text", type=TypeRef(kind="string", pattern="^a")), "fewer"),
    ("changed_field_types", field("Ask", "items", type=listed(ref("Item"), max_length=19)), "fewer"),
    ("changed_field_types", field("Ask", "items", type=listed(ref("Text"))), "fewer"),
    ("changed_field_types", field("Ask", "labels", type=TypeRef(kind="map", item=INTEGER)), "fewer"),
    ("changed_field_types", field("Ask", "mode", type=TypeRef(kind="constant", value="fast")), "fewer"),
    ("changed_field_types", field("Answer", "count", type=TypeRef(kind="number")), "hosts cannot read"),
    (
        "changed_field_types",
        field("Answer", "text", type=TypeRef(kind="string", nullable=True)),
        "Answer.text has values that hosts cannot read",
    ),
    ("changed_field_types", field("Answer", "count", type=TypeRef(kind="json")), "hosts cannot read"),
    ("changed_field_types", field("Answer", "count", type=ref("Value")), "hosts cannot read"),
    ("changed_field_types", field("Answer", "level", type=STRING), "hosts cannot read"),
    ("changed_field_types", field("Approve", "name", type=INTEGER), "hosts cannot read"),
    ("changed_tags", altered("Text", tag="words"), "Text was tagged type=text, now type=words"),
    ("changed_tags", altered("Item", tag_field="kind"), "Item was told apart by type, now by kind"),
    ("changed_coalescing", altered("Piece", coalesce="never"), "Piece coalesced concat, now never"),
    ("changed_enums", altered("Mode", values=["fast"]), "Mode lost exact"),
    ("changed_enums", altered("Level", values=["low"]), "Level lost high"),
    ("changed_enums", altered("Level", values=["low", "high", "top"]), "Level has got top"),
    ("changed_enums", altered("Level", open=True), "Level has values that hosts cannot read"),
    ("changed_enums", altered("Verdict", values=["allow"]), "Verdict lost deny"),
    (
        "changed_variants",
        altered("Item", variants=[Variant(tag="text", type="Text")]),
        "lost the variant picture",
    ),
    (
        "changed_variants",
        altered("AskEvent", variants=[Variant(tag="piece", type="Step"), Variant(tag="step", type="Step")]),
        "AskEvent: piece was Piece, now Step",
    ),
    ("changed_kinds", altered("Stop", variants=[STRING]), "Stop takes fewer values than hosts send"),
    ("changed_kinds", altered("Stop", variants=[STRING, listed(INTEGER)]), "Stop takes fewer values"),
    (
        "changed_kinds",
        altered("Value", variants=[STRING, INTEGER, listed(STRING)]),
        "Value has values that hosts cannot read",
    ),
]

FREE: list[tuple[str, Alter]] = [
    ("nothing", having()),
    ("a new method", having(methods=[*BEFORE.methods, NEW_METHOD])),
    ("a new host request", having(host_requests=[*BEFORE.host_requests, NEW_METHOD])),
    ("another order of methods", having(methods=[NEW_METHOD, *BEFORE.methods])),
    (
        "a new notification",
        having(
            notifications=[
                Notification(name="a.new", doc="", params="Changed", since=1),
                *BEFORE.notifications,
            ]
        ),
    ),
    ("a new error code", having(errors=["internal", "new"])),
    ("an error that a method may give", method(errors=["not_found"])),
    ("a method that can be cancelled more", having(host_requests=BEFORE.host_requests)),
    ("a deprecated method", method(deprecated="since 2: use a.new")),
    ("other words about a method", method(doc="Other words.")),
    ("more streams", having(limits={"message_bytes": 100, "streams": 9})),
    ("a new limit", having(limits={"message_bytes": 100, "streams": 8, "new": 1})),
    ("a new type", with_type(struct("New", OPTIONAL))),
    ("an optional param", more_fields("Ask", OPTIONAL)),
    ("an optional field of a result", more_fields("Answer", OPTIONAL)),
    ("a required field of a result", more_fields("Answer", required("new", STRING))),
    ("a required field of a notification", more_fields("Changed", required("new", STRING))),
    ("a required field of a host's request", more_fields("Approve", required("new", STRING))),
    ("a param that may be left out now", field("Ask", "text", required=False)),
    ("a result that is always given now", field("Answer", "value", required=True)),
    ("a param that may be null", field("Ask", "text", type=TypeRef(kind="string", nullable=True))),
    ("a result that is never null", field("Answer", "note", type=STRING)),
    ("wider bounds of a param", field("Ask", "limit", type=TypeRef(kind="integer", minimum=0))),
    ("narrower bounds of a result", field("Answer", "count", type=TypeRef(kind="integer", minimum=0))),
    ("a param that takes any value", field("Ask", "text", type=TypeRef(kind="json"))),
    ("a param that takes one more kind", field("Ask", "text", type=ref("Stop"))),
    ("a result of one kind", field("Answer", "value", type=STRING)),
    ("an open enum in place of a string", field("Answer", "text", type=ref("State"))),
    ("a closed enum given by the engine", field("Answer", "text", type=ref("Level"))),
    ("any string for an enum of params", field("Ask", "mode", type=STRING)),
    ("a value of a closed enum in params", altered("Mode", values=["fast", "exact", "new"])),
    ("a value of an enum hosts decide with", altered("Verdict", values=["allow", "deny", "new"])),
    ("a value of an open enum", altered("State", values=["ready", "failed", "new"])),
    ("an opened enum of params", altered("Mode", open=True)),
    ("a variant", altered("Item", variants=[*BEFORE.types["Item"].variants, PIECE])),
    ("a type of event", altered("AskEvent", variants=[*BEFORE.types["AskEvent"].variants, PIECE])),
    ("a kind of value in params", altered("Stop", variants=[STRING, listed(STRING), INTEGER])),
    ("a kind of value less in results", altered("Value", variants=[STRING])),
    ("other words about a type", altered("Ask", doc="Other words.")),
]


@pytest.mark.parametrize(("rule", "alter", "says"), BREAKS, ids=[case[2] for case in BREAKS])
def test_what_breaks_is_found_by_its_rule(rule: str, alter: Alter, says: str) -> None:
    after = alter(BEFORE)
    found = list(rule_named(rule)(compare.Change(BEFORE, after)))
    assert any(says in sentence for sentence in found), found
    assert set(found) <= set(breaking_changes(BEFORE, after))


@pytest.mark.parametrize(("what", "alter"), FREE, ids=[case[0] for case in FREE])
def test_what_is_free_is_not_found(what: str, alter: Alter) -> None:
    assert breaking_changes(BEFORE, alter(BEFORE)) == []


def test_every_rule_is_tested() -> None:
    assert {case[0] for case in BREAKS} == {rule.__name__ for rule in RULES}


def test_a_new_protocol_number_may_break_everything() -> None:
    after = msgspec.structs.replace(BEFORE, protocol=2, methods=[], types={})
    assert breaking_changes(BEFORE, after) == []


def rule_named(name: str) -> compare.Rule:
    (found,) = (rule for rule in RULES if rule.__name__ == name)
    return found
