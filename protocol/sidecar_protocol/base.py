"""Base classes of every message body.

Unknown fields: an error in params (a misspelt option must not be dropped in
silence), ignored in results and events (an older client reads a newer engine).
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
    """What a request carries."""


class StreamingParams(Params, kw_only=True):
    """Params of a method that may stream: no `stream`, no events; the result is complete either way."""

    stream: bool = False


class Result(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a request gives back. Optional fields that are None are left out."""


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="type"):
    """One item of a stream, told from others by `type`."""

    coalesce: ClassVar[Coalesce] = Coalesce.NEVER

    def joined_with(self, later: Self) -> Self | None:
        """This event with `later` (of the same type) appended, or None when they cannot be joined."""
        return None
