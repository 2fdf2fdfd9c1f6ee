"""The answer to a Responses request: the Response object."""

from typing import Annotated, Literal

from sidecar_protocol.base import Result, Shared, open_enum
from sidecar_protocol.common import Metadata, Timings
from sidecar_protocol.responses_items import Input, OutputItem
from sidecar_protocol.responses_tools import ReasoningSettings, TextSettings, Tool, ToolChoice

ResponseStatus = Annotated[
    str, open_enum("queued", "in_progress", "completed", "incomplete", "failed", "cancelled")
]
"""How far a response is."""
IncompleteReason = Annotated[str, open_enum("max_output_tokens", "content_filter")]
"""Why a response ended before it was whole."""
ResponseErrorCode = Annotated[str, open_enum("server_error", "rate_limit_exceeded", "invalid_prompt")]
"""Why a response failed, in OpenAI's terms."""
Truncation = Literal["auto", "disabled"]
"""When input does not fit: drop items from its beginning, or fail."""


class ResponseFailure(Result):
    """Why a response failed."""

    code: ResponseErrorCode
    message: str


class IncompleteDetails(Result):
    """Why a response is incomplete."""

    reason: IncompleteReason


class InputTokensDetails(Result):
    """Of the input's tokens, those that came from the prefix cache."""

    cached_tokens: int
    cache_write_tokens: int
    """Always 0: nothing is charged for."""


class OutputTokensDetails(Result):
    """Of the output's tokens, those that were reasoning."""

    reasoning_tokens: int


class ResponseUsage(Result):
    """Tokens counted, as OpenAI names them in Responses."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ConversationReference(Shared):
    """A conversation by its id."""

    id: str


class Response(Result):
    """An answer with all that was asked for."""

    id: str
    object: Literal["response"]
    created_at: float
    """Seconds since the epoch."""
    status: ResponseStatus
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool
    tool_choice: ToolChoice
    tools: list[Tool]
    error: ResponseFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: Input | None = None
    metadata: Metadata | None = None
    temperature: float | None = None
    top_p: float | None = None
    background: bool | None = None
    completed_at: float | None = None
    """Seconds since the epoch."""
    conversation: ConversationReference | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    previous_response_id: str | None = None
    reasoning: ReasoningSettings | None = None
    store: bool | None = None
    text: TextSettings | None = None
    top_logprobs: int | None = None
    truncation: Truncation | None = None
    usage: ResponseUsage | None = None
    """None until it has ended."""
    timings: Timings | None = None
    """None until it has ended."""
