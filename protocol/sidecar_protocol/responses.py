"""responses.*: OpenAI Responses."""

from functools import partial
from typing import Annotated, Literal

import msgspec

from sidecar_protocol.base import Params, Result, StreamingParams, open_enum
from sidecar_protocol.common import Metadata, Order, Priority
from sidecar_protocol.registry import method
from sidecar_protocol.responses_answer import ConversationReference, Response, Truncation
from sidecar_protocol.responses_events import ResponseStreamEvent
from sidecar_protocol.responses_items import Input, ItemList, normalise_field
from sidecar_protocol.responses_tools import ReasoningSettings, TextSettings, Tool, ToolChoice

Includable = Annotated[str, open_enum("message.output_text.logprobs", "reasoning.encrypted_content")]
"""What is given only to those who ask for it. Others of OpenAI's names are accepted and add nothing."""
ConversationParam = str | ConversationReference
"""An id, or an object with it."""
Limit = Annotated[int, msgspec.Meta(ge=1, le=100)]
"""How many, from 1 to 100."""
RESPONSE_ERRORS = (
    "not_found",
    "conflict",
    "model_load_failed",
    "context_overflow",
    "out_of_memory",
    "slow_consumer",
    "needs_auth",
    "upstream_failed",
)


class ResponseDeleted(Result):
    """A response is no longer stored."""

    id: str
    object: Literal["response"]
    deleted: bool


@method(
    "responses.create",
    result=Response,
    events=ResponseStreamEvent,
    errors=RESPONSE_ERRORS,
    idempotent=True,
    capability="responses",
    normalise=partial(normalise_field, name="input"),
)
class ResponsesCreate(StreamingParams, kw_only=True):
    """Answer input, with calls of MCP tools on the way.

    Give `previous_response_id` or `conversation`, not both.
    """

    model: str = "default"
    input: Input = []
    instructions: str | None = None
    """A system message for this response alone."""
    previous_response_id: str | None = None
    """Go on from a stored response."""
    conversation: ConversationParam | None = None
    """Put its items before the input, and add input and output to it afterwards."""
    tools: list[Tool] = []
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    """Whether one turn may hold several calls."""
    max_tool_calls: int | None = None
    """Calls of MCP tools in all; further ones are not made, and the model is told."""
    max_output_tokens: int | None = None
    """None: up to the end of the context."""
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    text: TextSettings | None = None
    reasoning: ReasoningSettings | None = None
    truncation: Truncation | None = None
    """None: disabled."""
    include: list[Includable] | None = None
    store: bool | None = None
    """Whether it can be got and continued later; None: yes."""
    background: bool | None = None
    """Answer at once with status "queued" and work on; needs `store`."""
    metadata: Metadata | None = None
    priority: Priority = "normal"


@method(
    "responses.get",
    result=Response,
    events=ResponseStreamEvent,
    errors=("not_found", "slow_consumer"),
    capability="responses",
)
class ResponsesGet(StreamingParams, kw_only=True):
    """A stored response. As a stream: its events from the start or after one, then those to come."""

    response_id: str
    starting_after: int | None = None
    """The last `sequence_number` that was seen."""
    include: list[Includable] | None = None


@method("responses.cancel", result=Response, errors=("not_found", "conflict"), capability="responses")
class ResponsesCancel(Params):
    """End a background response."""

    response_id: str


@method("responses.delete", result=ResponseDeleted, errors=("not_found", "conflict"), capability="responses")
class ResponsesDelete(Params):
    """Forget a stored response."""

    response_id: str


@method("responses.input_items", result=ItemList, errors=("not_found",), capability="responses")
class ResponsesInputItems(Params):
    """What a stored response was the answer to, in pages."""

    response_id: str
    after: str | None = None
    """The last item of the page before."""
    limit: Limit = 20
    order: Order = "desc"
    include: list[Includable] | None = None
