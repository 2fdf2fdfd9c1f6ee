"""Events of a Responses stream, as OpenAI documents them.

Each has a `sequence_number` that rises by one; where deltas were joined for a
slow reader, the joined event has the last one's number. What waiting and loading
tell (queued, loading, prefill, overflow) has none and is not repeated later.
"""

from typing import ClassVar, Literal, Self

import msgspec

from sidecar_protocol.base import Coalesce, Event
from sidecar_protocol.common import LoadingEvent, OverflowEvent, PrefillEvent, QueuedEvent
from sidecar_protocol.responses_answer import Response
from sidecar_protocol.responses_items import (
    Annotation,
    OutputItem,
    OutputLogprob,
    OutputRefusal,
    OutputText,
    ReasoningText,
    SummaryText,
)

OutputPart = OutputText | OutputRefusal | ReasoningText


class _Numbered(Event, kw_only=True):
    """One of the documented events."""

    sequence_number: int


class _OfResponse(_Numbered, kw_only=True):
    """About the response as a whole."""

    response: Response


class _OfItem(_Numbered, kw_only=True):
    """About one item of the output."""

    output_index: int
    item_id: str


class _OfPart(_OfItem, kw_only=True):
    """About one part of an item's content."""

    content_index: int


class _OfSummary(_OfItem, kw_only=True):
    """About one part of a reasoning item's summary."""

    summary_index: int


class _Delta(_OfItem, kw_only=True):
    """A piece of text."""

    coalesce: ClassVar[Coalesce] = Coalesce.CONCAT

    delta: str

    def joined_with(self, later: Self) -> Self | None:
        """Both texts as one, when they continue the same part of the same item."""
        places = ("item_id", "output_index", "content_index", "summary_index")
        if any(getattr(self, place, None) != getattr(later, place, None) for place in places):
            return None
        return msgspec.structs.replace(later, delta=self.delta + later.delta)


class ResponseCreatedEvent(_OfResponse, tag="response.created"):
    """The response exists."""


class ResponseQueuedEvent(_OfResponse, tag="response.queued"):
    """A background response waits."""


class ResponseInProgressEvent(_OfResponse, tag="response.in_progress"):
    """Work on it has begun."""


class ResponseCompletedEvent(_OfResponse, tag="response.completed"):
    """It is whole. The last event."""


class ResponseIncompleteEvent(_OfResponse, tag="response.incomplete"):
    """It ended before it was whole. The last event."""


class ResponseFailedEvent(_OfResponse, tag="response.failed"):
    """It failed. The last event."""


class OutputItemAddedEvent(_Numbered, kw_only=True, tag="response.output_item.added"):
    """An item has begun."""

    output_index: int
    item: OutputItem


class OutputItemDoneEvent(_Numbered, kw_only=True, tag="response.output_item.done"):
    """An item is whole."""

    output_index: int
    item: OutputItem


class ContentPartAddedEvent(_OfPart, kw_only=True, tag="response.content_part.added"):
    """A part of a message has begun."""

    part: OutputPart


class ContentPartDoneEvent(_OfPart, kw_only=True, tag="response.content_part.done"):
    """A part of a message is whole."""

    part: OutputPart


class OutputTextDeltaEvent(_Delta, kw_only=True, tag="response.output_text.delta"):
    """A piece of the model's text."""

    content_index: int
    logprobs: list[OutputLogprob]

    def joined_with(self, later: Self) -> Self | None:
        """Both texts as one with all their logprobs, when they continue the same part of the same item."""
        joined = super().joined_with(later)
        if joined is None:
            return None
        return msgspec.structs.replace(joined, logprobs=self.logprobs + later.logprobs)


class OutputTextDoneEvent(_OfPart, kw_only=True, tag="response.output_text.done"):
    """A text is whole."""

    text: str
    logprobs: list[OutputLogprob]


class OutputTextAnnotationAddedEvent(_OfPart, kw_only=True, tag="response.output_text.annotation.added"):
    """A text has got an annotation."""

    annotation_index: int
    annotation: Annotation


class RefusalDeltaEvent(_Delta, kw_only=True, tag="response.refusal.delta"):
    """A piece of a refusal."""

    content_index: int


class RefusalDoneEvent(_OfPart, kw_only=True, tag="response.refusal.done"):
    """A refusal is whole."""

    refusal: str


class FunctionCallArgumentsDeltaEvent(_Delta, tag="response.function_call_arguments.delta"):
    """A piece of a call's arguments."""


class FunctionCallArgumentsDoneEvent(_OfItem, kw_only=True, tag="response.function_call_arguments.done"):
    """A call's arguments are whole."""

    arguments: str


class ReasoningTextDeltaEvent(_Delta, kw_only=True, tag="response.reasoning_text.delta"):
    """A piece of reasoning."""

    content_index: int


class ReasoningTextDoneEvent(_OfPart, kw_only=True, tag="response.reasoning_text.done"):
    """A reasoning text is whole."""

    text: str


class ReasoningSummaryPartAddedEvent(_OfSummary, kw_only=True, tag="response.reasoning_summary_part.added"):
    """A part of a summary has begun."""

    part: SummaryText


class ReasoningSummaryPartDoneEvent(_OfSummary, kw_only=True, tag="response.reasoning_summary_part.done"):
    """A part of a summary is whole."""

    part: SummaryText
    status: Literal["incomplete"] | None = None
    """Given where it was cut off."""


class ReasoningSummaryTextDeltaEvent(_Delta, kw_only=True, tag="response.reasoning_summary_text.delta"):
    """A piece of a summary."""

    summary_index: int


class ReasoningSummaryTextDoneEvent(_OfSummary, kw_only=True, tag="response.reasoning_summary_text.done"):
    """A summary's text is whole."""

    text: str


class McpListToolsInProgressEvent(_OfItem, tag="response.mcp_list_tools.in_progress"):
    """An MCP server is being asked for its tools."""


class McpListToolsCompletedEvent(_OfItem, tag="response.mcp_list_tools.completed"):
    """It has told them."""


class McpListToolsFailedEvent(_OfItem, tag="response.mcp_list_tools.failed"):
    """It could not be asked."""


class McpCallInProgressEvent(_OfItem, tag="response.mcp_call.in_progress"):
    """An MCP server's tool is being called."""


class McpCallArgumentsDeltaEvent(_Delta, tag="response.mcp_call_arguments.delta"):
    """A piece of the call's arguments."""


class McpCallArgumentsDoneEvent(_OfItem, kw_only=True, tag="response.mcp_call_arguments.done"):
    """The call's arguments are whole."""

    arguments: str


class McpCallCompletedEvent(_OfItem, tag="response.mcp_call.completed"):
    """The tool has answered."""


class McpCallFailedEvent(_OfItem, tag="response.mcp_call.failed"):
    """The call failed."""


ResponseStreamEvent = (
    QueuedEvent
    | LoadingEvent
    | PrefillEvent
    | OverflowEvent
    | ResponseCreatedEvent
    | ResponseQueuedEvent
    | ResponseInProgressEvent
    | ResponseCompletedEvent
    | ResponseIncompleteEvent
    | ResponseFailedEvent
    | OutputItemAddedEvent
    | OutputItemDoneEvent
    | ContentPartAddedEvent
    | ContentPartDoneEvent
    | OutputTextDeltaEvent
    | OutputTextDoneEvent
    | OutputTextAnnotationAddedEvent
    | RefusalDeltaEvent
    | RefusalDoneEvent
    | FunctionCallArgumentsDeltaEvent
    | FunctionCallArgumentsDoneEvent
    | ReasoningTextDeltaEvent
    | ReasoningTextDoneEvent
    | ReasoningSummaryPartAddedEvent
    | ReasoningSummaryPartDoneEvent
    | ReasoningSummaryTextDeltaEvent
    | ReasoningSummaryTextDoneEvent
    | McpListToolsInProgressEvent
    | McpListToolsCompletedEvent
    | McpListToolsFailedEvent
    | McpCallInProgressEvent
    | McpCallArgumentsDeltaEvent
    | McpCallArgumentsDoneEvent
    | McpCallCompletedEvent
    | McpCallFailedEvent
)
