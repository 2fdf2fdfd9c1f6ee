"""Base classes of every message body.

Unknown fields: an error in params (a misspelt option must not be dropped in
silence), ignored in results and events (an older client reads a newer engine).

A type that goes both ways, such as an item of a conversation, is declared once
as Shared: msgspec reads it as results are read, and `unknown_fields` holds it to
its fields where it is part of params.
"""

import enum
from typing import ClassVar, Self

import msgspec


class Coalesce(enum.Enum):
    """What may happen to an event type while its stream has no credit."""

    CONCAT = "concat"
    """Joined with the last held event when both continue the same text."""
    KEEP_LAST = "keep_last"
    """Only the newest of the type is kept."""
    NEVER = "never"
    """Every one is kept, up to the limit of held bytes."""


class Params(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a request carries, or a part of it."""


class StreamingParams(Params, kw_only=True):
    """Params of a method that may stream: no `stream`, no events; the result is complete either way."""

    stream: bool = False


class Result(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a request gives back, or a part of it. Optional fields that are None are left out."""


class Shared(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Part of params and of results alike."""


class HostParams(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the engine asks of the host, or tells it. Hosts ignore fields they do not know."""


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="type"):
    """One item of a stream, told from others by `type`."""

    coalesce: ClassVar[Coalesce] = Coalesce.NEVER

    def joined_with(self, later: Self) -> Self | None:
        """This event with `later` (of the same type) appended, or None when they cannot be joined."""
        return None


def open_enum(*values: str) -> msgspec.Meta:
    """Marks a string that is one of these values today; later versions may have more, and readers keep them.

    Status = Annotated[str, open_enum("running", "ended")]
    """
    return msgspec.Meta(extra={"values": values})


def needs(capability: str) -> msgspec.Meta:
    """Marks a field of params that is `unsupported` unless the engine has this capability.

    tools: Annotated[list[Tool] | None, needs("tools")] = None
    """
    return msgspec.Meta(extra={"capability": capability})
