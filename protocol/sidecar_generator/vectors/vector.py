"""What a vector is, and what part of the protocol a type plays."""

from typing import Literal

import msgspec

from sidecar_generator.schema import Schema, TaggedUnion, reachable

Role = Literal["params", "result", "event", "host_params", "host_result", "notification", "part"]
FlawKind = Literal[
    "missing",
    "kind",
    "float_for_integer",
    "range",
    "length",
    "pattern",
    "unknown_field",
    "unknown_option",
    "hostile",
]

ALSO_SENT = ("ErrorBody",)
"""Types outside of any method that are bodies of messages like any other; the rest is in frames.json."""


class Accepted(msgspec.Struct, frozen=True):
    """A value that every language reads as the type, and writes as these very bytes."""

    name: str
    type: str
    value: object


class Rejected(msgspec.Struct, frozen=True):
    """A value that is not of the type: `flaw` is what is wrong, `where` the path to it."""

    name: str
    type: str
    value: object
    flaw: FlawKind
    where: str


Vector = Accepted | Rejected


def roles(schema: Schema) -> dict[str, Role]:
    """Every type that can cross the wire, and what it is there; "part" of others where it is nothing else."""
    found: dict[str, Role] = {}
    for method in schema.methods:
        found[method.params] = "params"
        found[method.result] = "result"
        for event in schema.event_types(method):
            found[event.name] = "event"
        if method.events is not None and isinstance(schema.types[method.events], TaggedUnion):
            found[method.events] = "event"
    for request in schema.host_requests:
        found[request.params] = "host_params"
        found[request.result] = "host_result"
    for item in schema.notifications:
        found[item.params] = "notification"
    crossing = reachable(schema, [*found, *ALSO_SENT])
    return {name: found.get(name, "part") for name in schema.types if name in crossing}
