"""What MCP servers give, as MCP itself writes it: camel case, revision 2026-07-28 with what older ones add.

Two shapes of MCP that are told apart by which fields they have are one type
here with both fields optional: text and binary resource contents.
"""

from typing import Annotated, Literal

import msgspec

from sidecar_protocol.base import Shared, open_enum
from sidecar_protocol.common import JsonObject

McpRole = Literal["user", "assistant"]
"""Whose message it is."""
McpLogLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
"""How grave a server's log record is."""
McpIconTheme = Annotated[str, open_enum("light", "dark")]
"""The background an icon is made for."""
McpStopReason = Annotated[str, open_enum("endTurn", "stopSequence", "maxTokens", "toolUse")]
"""Why sampling ended."""
McpIncludeContext = Annotated[str, open_enum("none", "thisServer", "allServers")]
"""Which servers' context a server wants in the prompt."""
McpToolUseMode = Literal["auto", "required", "none"]
"""Whether a sampled message may, must or must not use tools."""
Fraction = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
"""From 0 to 1."""


class _McpObject(Shared, rename="camel"):
    """A part of MCP."""


class _WithMeta(_McpObject):
    """A part of MCP that can carry metadata."""

    meta: JsonObject | None = msgspec.field(name="_meta", default=None)
    """Metadata of the server's own."""


class McpIcon(_McpObject):
    """A picture that stands for something in a user interface."""

    src: str
    """An address, or a data: URL. Pictures in SVG can hold scripts: treat them so."""
    mime_type: str | None = None
    sizes: list[str] | None = None
    """Such as "48x48", or "any"."""
    theme: McpIconTheme | None = None


class McpAnnotations(_McpObject):
    """For whom something is, and how much it matters."""

    audience: list[McpRole] | None = None
    priority: Fraction | None = None
    """1: cannot be done without."""
    last_modified: str | None = None
    """ISO 8601."""


class McpTextContent(_WithMeta, kw_only=True, tag_field="type", tag="text"):
    """Text."""

    text: str
    annotations: McpAnnotations | None = None


class McpImageContent(_WithMeta, kw_only=True, tag_field="type", tag="image"):
    """A picture."""

    data: str
    """Base64."""
    mime_type: str
    annotations: McpAnnotations | None = None


class McpAudioContent(_WithMeta, kw_only=True, tag_field="type", tag="audio"):
    """A sound."""

    data: str
    """Base64."""
    mime_type: str
    annotations: McpAnnotations | None = None


class McpResourceLink(_WithMeta, kw_only=True, tag_field="type", tag="resource_link"):
    """A resource that can be read; it need not be among those that are listed."""

    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    """Bytes."""
    icons: list[McpIcon] | None = None
    annotations: McpAnnotations | None = None


class McpResourceContents(_WithMeta, kw_only=True):
    """What a resource holds: `text` or `blob`."""

    uri: str
    mime_type: str | None = None
    text: str | None = None
    blob: str | None = None
    """Base64."""


class McpEmbeddedResource(_WithMeta, kw_only=True, tag_field="type", tag="resource"):
    """A resource with its contents."""

    resource: McpResourceContents
    annotations: McpAnnotations | None = None


McpContent = McpTextContent | McpImageContent | McpAudioContent | McpResourceLink | McpEmbeddedResource


class McpToolAnnotations(_McpObject):
    """What a server says of its tool. Hints: no decision may rest on an untrusted server's word."""

    title: str | None = None
    read_only_hint: bool | None = None
    destructive_hint: bool | None = None
    idempotent_hint: bool | None = None
    open_world_hint: bool | None = None


class McpServerTool(_WithMeta, kw_only=True):
    """A tool as its server declares it."""

    name: str
    title: str | None = None
    description: str | None = None
    input_schema: JsonObject
    """JSON Schema of its arguments."""
    output_schema: JsonObject | None = None
    """JSON Schema of its structured content."""
    annotations: McpToolAnnotations | None = None
    icons: list[McpIcon] | None = None


class McpPromptArgument(_McpObject):
    """An argument of a prompt."""

    name: str
    title: str | None = None
    description: str | None = None
    required: bool | None = None


class McpPrompt(_WithMeta, kw_only=True):
    """A prompt, or a template of one."""

    name: str
    title: str | None = None
    description: str | None = None
    arguments: list[McpPromptArgument] | None = None
    icons: list[McpIcon] | None = None


class McpPromptMessage(_McpObject):
    """A message of a prompt."""

    role: McpRole
    content: McpContent


class McpResource(_WithMeta, kw_only=True):
    """A resource that can be read."""

    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    """Bytes."""
    icons: list[McpIcon] | None = None
    annotations: McpAnnotations | None = None


class McpResourceTemplate(_WithMeta, kw_only=True):
    """A template of resources' addresses (RFC 6570)."""

    uri_template: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    icons: list[McpIcon] | None = None
    annotations: McpAnnotations | None = None


class McpCompletion(_McpObject):
    """How an argument may go on."""

    values: list[str]
    """At most 100."""
    total: int | None = None
    has_more: bool | None = None


class McpRoot(_WithMeta, kw_only=True):
    """A folder or file that servers may work on."""

    uri: str
    """Begins with file://."""
    name: str | None = None


class McpToolUse(_WithMeta, kw_only=True, tag_field="type", tag="tool_use"):
    """A sampled message asks for a tool."""

    id: str
    name: str
    input: JsonObject


class McpToolResult(_WithMeta, kw_only=True, tag_field="type", tag="tool_result"):
    """What the tool gave back."""

    tool_use_id: str
    content: list[McpContent]
    structured_content: object = None
    is_error: bool | None = None


McpSamplingBlock = McpTextContent | McpImageContent | McpAudioContent | McpToolUse | McpToolResult
McpSamplingContent = (
    McpTextContent | McpImageContent | McpAudioContent | McpToolUse | McpToolResult | list[McpSamplingBlock]
)
"""One block, or several."""


class McpSamplingMessage(_WithMeta, kw_only=True):
    """A message of a conversation that a server wants continued."""

    role: McpRole
    content: McpSamplingContent


class McpModelHint(_McpObject):
    """A part of a model's name."""

    name: str | None = None


class McpModelPreferences(_McpObject):
    """What a server wants of the model; advice alone."""

    hints: list[McpModelHint] | None = None
    cost_priority: Fraction | None = None
    speed_priority: Fraction | None = None
    intelligence_priority: Fraction | None = None


class McpSamplingToolChoice(_McpObject):
    """Whether tools may be used."""

    mode: McpToolUseMode | None = None


class McpSamplingRequest(_WithMeta, kw_only=True):
    """What a server wants from a model (sampling/createMessage)."""

    messages: list[McpSamplingMessage]
    max_tokens: int
    system_prompt: str | None = None
    include_context: McpIncludeContext | None = None
    temperature: float | None = None
    stop_sequences: list[str] | None = None
    model_preferences: McpModelPreferences | None = None
    tools: list[McpServerTool] | None = None
    tool_choice: McpSamplingToolChoice | None = None
    metadata: JsonObject | None = None


class McpSamplingResult(_WithMeta, kw_only=True):
    """What the model answered."""

    role: McpRole
    content: McpSamplingContent
    model: str
    stop_reason: McpStopReason | None = None
