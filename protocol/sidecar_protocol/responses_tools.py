"""Tools of OpenAI Responses, and how a model is told to use them; the same in requests and in answers."""

from typing import Literal

from sidecar_protocol.base import Shared
from sidecar_protocol.chat_messages import AllowedToolsMode, ToolChoiceMode, ToolName
from sidecar_protocol.common import JsonObject, ReasoningEffort

ApprovalSetting = Literal["always", "never"]
"""Ask before every call, or before none."""
Verbosity = Literal["low", "medium", "high"]
"""How much a model says."""
ReasoningSummary = Literal["auto", "concise", "detailed"]
"""How much of its reasoning a model sums up."""


class FunctionTool(Shared, tag_field="type", tag="function"):
    """A function of the caller: the model asks for a call, the caller makes it."""

    name: ToolName
    parameters: JsonObject | None = None
    """JSON Schema of its arguments."""
    strict: bool | None = None
    """Whether arguments are held to the schema while they are generated."""
    description: str | None = None
    output_schema: JsonObject | None = None
    """JSON Schema of what it gives back."""


class McpToolFilter(Shared):
    """Some of an MCP server's tools."""

    tool_names: list[str] | None = None
    read_only: bool | None = None
    """Those annotated with readOnlyHint, or those that are not."""


class McpApprovalFilter(Shared):
    """Which tools are asked about before they are called."""

    always: McpToolFilter | None = None
    never: McpToolFilter | None = None


McpAllowedTools = list[str] | McpToolFilter
"""Names, or a filter."""
McpRequireApproval = ApprovalSetting | McpApprovalFilter
"""For all tools alike, or by filter."""


class McpTool(Shared, tag_field="type", tag="mcp"):
    """The tools of an MCP server, called by the engine itself."""

    server_label: str
    """What its calls name it by; without `server_url` the server of that name in mcp.servers."""
    server_url: str | None = None
    server_description: str | None = None
    authorization: str | None = None
    """An OAuth access token. Never given back."""
    headers: dict[str, str] | None = None
    """Sent with every request to the server. Never given back."""
    allowed_tools: McpAllowedTools | None = None
    require_approval: McpRequireApproval | None = None
    """None: always."""


Tool = FunctionTool | McpTool


class FunctionChoice(Shared, tag_field="type", tag="function"):
    """Call this function."""

    name: str


class McpChoice(Shared, tag_field="type", tag="mcp"):
    """Call a tool of this MCP server."""

    server_label: str
    name: str | None = None
    """Which one; None: any of them."""


ToolReference = FunctionChoice | McpChoice


class AllowedToolsSetting(Shared, tag_field="type", tag="allowed_tools"):
    """Call none but these tools, without changing what the prompt says of the others."""

    mode: AllowedToolsMode
    tools: list[ToolReference]


ToolChoiceObject = FunctionChoice | McpChoice | AllowedToolsSetting
ToolChoice = ToolChoiceMode | FunctionChoice | McpChoice | AllowedToolsSetting
"""A mode, one tool, or some of the tools."""


class PlainTextFormat(Shared, tag_field="type", tag="text"):
    """Free text."""


class AnyJsonFormat(Shared, tag_field="type", tag="json_object"):
    """Any JSON object."""


class SchemaFormat(Shared, tag_field="type", tag="json_schema"):
    """JSON that matches a schema."""

    name: ToolName
    schema: JsonObject
    description: str | None = None
    strict: bool | None = None


TextFormatSetting = PlainTextFormat | AnyJsonFormat | SchemaFormat


class TextSettings(Shared):
    """What the text of an answer must look like."""

    format: TextFormatSetting | None = None
    """None: free text."""
    verbosity: Verbosity | None = None


class ReasoningSettings(Shared):
    """How a reasoning model thinks."""

    effort: ReasoningEffort | None = None
    summary: ReasoningSummary | None = None
