"""Items of OpenAI Responses: what a conversation is made of.

InputItem is what callers send, OutputItem what an answer is made of, Item what is
stored and listed. What an answer holds can be sent back as input unchanged.
"""

from typing import Annotated, Literal

from sidecar_protocol.base import Result, Shared, open_enum
from sidecar_protocol.chat_messages import ImageDetail
from sidecar_protocol.common import JsonObject

InputRole = Literal["user", "assistant", "system", "developer"]
"""Who said it."""
MessageRole = Annotated[str, open_enum("user", "assistant", "system", "developer")]
"""Who said it."""
ItemStatus = Annotated[str, open_enum("in_progress", "completed", "incomplete")]
"""Whether an item is whole."""
MessagePhase = Annotated[str, open_enum("commentary", "final_answer")]
"""Whether a message of the model comes before its answer, or is it."""
McpCallStatus = Annotated[str, open_enum("in_progress", "completed", "incomplete", "calling", "failed")]
"""How far a call of an MCP tool is."""


class InputText(Shared, tag_field="type", tag="input_text"):
    """Text that is sent."""

    text: str


class InputImage(Shared, tag_field="type", tag="input_image"):
    """A picture that is sent; text models answer `unsupported`."""

    image_url: str | None = None
    """An address, or the picture itself as a data: URL."""
    detail: ImageDetail | None = None
    """None: auto."""


class InputFile(Shared, tag_field="type", tag="input_file"):
    """A file that is sent; models without a reader for it answer `unsupported`."""

    filename: str | None = None
    file_data: str | None = None
    """Its content in base64."""
    file_url: str | None = None


InputContent = InputText | InputImage | InputFile


class TopLogprob(Shared):
    """A token and the natural logarithm of its probability."""

    token: str
    logprob: float
    bytes: list[int]


class OutputLogprob(Shared):
    """A chosen token, and the likeliest ones at its place."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class UrlCitation(Shared, tag_field="type", tag="url_citation"):
    """A part of the text comes from a web page."""

    url: str
    title: str
    start_index: int
    end_index: int


class FileCitation(Shared, tag_field="type", tag="file_citation"):
    """The text refers to a file."""

    file_id: str
    filename: str
    index: int


Annotation = UrlCitation | FileCitation


class OutputText(Shared, tag_field="type", tag="output_text"):
    """Text of the model."""

    text: str
    annotations: list[Annotation]
    logprobs: list[OutputLogprob] | None = None


class OutputRefusal(Shared, tag_field="type", tag="refusal"):
    """A refusal of the model."""

    refusal: str


OutputContent = OutputText | OutputRefusal
AnyContent = InputText | InputImage | InputFile | OutputText | OutputRefusal
InputMessageContent = str | list[AnyContent]
"""Text, or parts."""
FunctionOutput = str | list[InputContent]
"""Text, or parts."""


class InputMessage(Shared, tag_field="type", tag="message"):
    """A turn, told from other items by `type`, which callers may leave out."""

    role: InputRole
    content: InputMessageContent
    id: str | None = None
    status: ItemStatus | None = None
    phase: MessagePhase | None = None


class OutputMessage(Result, tag_field="type", tag="message"):
    """What the model said."""

    id: str
    role: Literal["assistant"]
    status: ItemStatus
    content: list[OutputContent]
    phase: MessagePhase | None = None


class StoredMessage(Result, tag_field="type", tag="message"):
    """A turn of a stored history."""

    id: str
    role: MessageRole
    status: ItemStatus
    content: list[AnyContent]
    phase: MessagePhase | None = None


class FunctionCall(Shared, tag_field="type", tag="function_call"):
    """The model asks the caller to call a function."""

    call_id: str
    """What the answer to it refers to."""
    name: str
    arguments: str
    """JSON as the model wrote it."""
    id: str | None = None
    status: ItemStatus | None = None


class FunctionCallOutput(Shared, tag_field="type", tag="function_call_output"):
    """What the caller's function gave back."""

    call_id: str
    output: FunctionOutput
    id: str | None = None
    status: ItemStatus | None = None


class SummaryText(Shared, tag_field="type", tag="summary_text"):
    """A paragraph of a summary."""

    text: str


class ReasoningText(Shared, tag_field="type", tag="reasoning_text"):
    """Reasoning in the model's own words."""

    text: str


class Reasoning(Shared, tag_field="type", tag="reasoning"):
    """What the model thought before it answered."""

    id: str
    summary: list[SummaryText]
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None
    """For callers that store nothing here; given with include "reasoning.encrypted_content"."""
    status: ItemStatus | None = None


class McpListedTool(Shared):
    """A tool of an MCP server, as a model is told of it."""

    name: str
    input_schema: JsonObject
    description: str | None = None
    annotations: JsonObject | None = None


class McpListTools(Shared, tag_field="type", tag="mcp_list_tools"):
    """The tools that an MCP server offered when it was asked."""

    id: str
    server_label: str
    tools: list[McpListedTool]
    error: str | None = None
    """Why it could not be asked."""


class McpProtocolError(Shared, tag_field="type", tag="mcp_protocol_error"):
    """The server refused the call."""

    code: int
    message: str


class McpToolExecutionError(Shared, tag_field="type", tag="mcp_tool_execution_error"):
    """The tool ran and failed."""

    content: object
    """What it said, as the server sent it."""


class McpHttpError(Shared, tag_field="type", tag="http_error"):
    """The server could not be reached, or answered with this HTTP status."""

    code: int
    message: str


McpCallError = McpProtocolError | McpToolExecutionError | McpHttpError


class McpCall(Shared, tag_field="type", tag="mcp_call"):
    """A call of an MCP server's tool, made by the engine."""

    id: str
    server_label: str
    name: str
    arguments: str
    """JSON."""
    output: str | None = None
    error: McpCallError | None = None
    status: McpCallStatus | None = None
    approval_request_id: str | None = None
    """The mcp_approval_request that allowed it."""


class McpApprovalRequest(Shared, tag_field="type", tag="mcp_approval_request"):
    """The engine asks whether it may call an MCP server's tool; answered by an mcp_approval_response."""

    id: str
    server_label: str
    name: str
    arguments: str
    """JSON."""


class McpApprovalResponse(Shared, tag_field="type", tag="mcp_approval_response"):
    """The answer to an mcp_approval_request."""

    approval_request_id: str
    approve: bool
    id: str | None = None
    reason: str | None = None


class ItemReference(Shared, tag_field="type", tag="item_reference"):
    """An item that is stored already; callers may leave out `type`."""

    id: str


InputItem = (
    InputMessage
    | FunctionCall
    | FunctionCallOutput
    | Reasoning
    | McpListTools
    | McpCall
    | McpApprovalRequest
    | McpApprovalResponse
    | ItemReference
)
OutputItem = OutputMessage | FunctionCall | Reasoning | McpListTools | McpCall | McpApprovalRequest
Item = (
    StoredMessage
    | FunctionCall
    | FunctionCallOutput
    | Reasoning
    | McpListTools
    | McpCall
    | McpApprovalRequest
    | McpApprovalResponse
)
Input = str | list[InputItem]
"""A user's text, or items."""


class ItemList(Result):
    """A page of items."""

    object: Literal["list"]
    data: list[Item]
    first_id: str
    last_id: str
    has_more: bool


def normalise_items(items: object) -> object:
    """Items with the `type` that OpenAI lets callers leave out: of a message, and of a reference by id."""
    return [_normalise_item(item) for item in items] if isinstance(items, list) else items


def normalise_field(params: object, name: str) -> object:
    """Params in whose field `name` the items have their types."""
    if not isinstance(params, dict) or name not in params:
        return params
    return {**params, name: normalise_items(params[name])}


def _normalise_item(item: object) -> object:
    if not isinstance(item, dict) or "type" in item:
        return item
    if "role" in item:
        return {"type": "message", **item}
    return {"type": "item_reference", **item} if set(item) == {"id"} else item
