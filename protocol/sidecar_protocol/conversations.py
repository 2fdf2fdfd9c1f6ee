"""conversations.*: durable histories of items."""

from functools import partial
from typing import Annotated, Literal

import msgspec

from sidecar_protocol.base import Params, Result
from sidecar_protocol.common import Metadata, Order
from sidecar_protocol.registry import method
from sidecar_protocol.responses import Includable, Limit
from sidecar_protocol.responses_items import InputItem, ItemList, normalise_field


class Conversation(Result):
    """A history that responses can go on from."""

    id: str
    object: Literal["conversation"]
    created_at: int
    """Seconds since the epoch."""
    metadata: Metadata


class ConversationDeleted(Result):
    """A conversation and its items are gone."""

    id: str
    object: Literal["conversation.deleted"]
    deleted: bool


class ConversationList(Result, kw_only=True):
    """A page of conversations."""

    object: Literal["list"]
    data: list[Conversation]
    first_id: str | None = None
    """None where there are none."""
    last_id: str | None = None
    has_more: bool


@method(
    "conversations.create",
    result=Conversation,
    idempotent=True,
    capability="conversations",
    normalise=partial(normalise_field, name="items"),
)
class ConversationsCreate(Params):
    """Begin a conversation."""

    items: Annotated[list[InputItem], msgspec.Meta(max_length=20)] = []
    """What it begins with, at most 20."""
    metadata: Metadata | None = None


@method("conversations.get", result=Conversation, errors=("not_found",), capability="conversations")
class ConversationsGet(Params):
    """One conversation, without its items."""

    conversation_id: str


@method("conversations.list", result=ConversationList, capability="conversations")
class ConversationsList(Params):
    """Conversations of this application, in pages."""

    after: str | None = None
    """The last conversation of the page before."""
    limit: Limit = 20
    order: Order = "desc"


@method(
    "conversations.delete",
    result=ConversationDeleted,
    errors=("not_found", "conflict"),
    capability="conversations",
)
class ConversationsDelete(Params):
    """Forget a conversation and its items."""

    conversation_id: str


@method("conversations.items", result=ItemList, errors=("not_found",), capability="conversations")
class ConversationsItems(Params):
    """Items of a conversation, in pages."""

    conversation_id: str
    after: str | None = None
    """The last item of the page before."""
    limit: Limit = 20
    order: Order = "desc"
    include: list[Includable] | None = None
