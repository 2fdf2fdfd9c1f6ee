"""Messages of a chat, and the tools it may use, in OpenAI's form."""

from typing import Annotated, Literal

import msgspec

from sidecar_protocol.base import Params, Shared
from sidecar_protocol.common import JsonObject

ToolName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
"""Letters, digits, underscore and dash, at most 64."""
ImageDetail = Literal["auto", "low", "high", "original"]
"""How closely a picture is looked at."""
ToolChoiceMode = Literal["none", "auto", "required"]
"""Never call a tool, leave it to the model, or call one at least."""
AllowedToolsMode = Literal["auto", "required"]
"""Leave it to the model, or call one of the allowed at least."""


class TextPart(Params, tag_field="type", tag="text"):
    """A piece of text content."""

    text: str


class ImageUrl(Params):
    """Where a picture is."""

    url: str
    """An address, or the picture itself as a data: URL."""
    detail: ImageDetail = "auto"


class ImagePart(Params, tag_field="type", tag="image_url"):
    """A picture; text models answer `unsupported`."""

    image_url: ImageUrl


class RefusalPart(Params, tag_field="type", tag="refusal"):
    """An earlier refusal of the model."""

    refusal: str


ContentPart = TextPart | ImagePart
AssistantContentPart = TextPart | RefusalPart
MessageContent = str | list[ContentPart]
"""Text, or parts."""
AssistantContent = str | list[AssistantContentPart]
"""Text, or parts."""
ToolContent = str | list[TextPart]
"""Text, or parts of text."""


class ChatFunctionCall(Shared):
    """Which function, and with what."""

    name: str
    arguments: str
    """JSON as the model wrote it: it may be malformed, and may name parameters that do not exist."""


class ChatToolCall(Shared, tag_field="type", tag="function"):
    """A call the model wants made."""

    id: str
    function: ChatFunctionCall


class _Message(Params, tag_field="role"):
    """One turn, told from others by `role`."""

    name: str | None = None


class SystemMessage(_Message, kw_only=True, tag="system"):
    """How the model should behave."""

    content: MessageContent


class DeveloperMessage(_Message, kw_only=True, tag="developer"):
    """The same as a system message, in OpenAI's newer word."""

    content: MessageContent


class UserMessage(_Message, kw_only=True, tag="user"):
    """What a person said."""

    content: MessageContent


class AssistantMessage(_Message, kw_only=True, tag="assistant"):
    """What the model said or called earlier."""

    content: AssistantContent | None = None
    """May be left out only where there are tool calls or a refusal."""
    refusal: str | None = None
    tool_calls: list[ChatToolCall] | None = None
    reasoning_content: str | None = None
    """Its reasoning, for templates that want it back."""


class ToolMessage(Params, tag_field="role", tag="tool"):
    """What a tool gave back."""

    content: ToolContent
    tool_call_id: str


ChatMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


class ChatFunction(Params):
    """A function the model may call."""

    name: ToolName
    description: str | None = None
    parameters: JsonObject | None = None
    """JSON Schema of its arguments; without one it takes none."""
    strict: bool | None = None
    """Whether arguments are held to the schema while they are generated."""


class ChatTool(Params, tag_field="type", tag="function"):
    """A tool the model may use."""

    function: ChatFunction


class ChatFunctionName(Params):
    """A function by name."""

    name: str


class NamedToolChoice(Params, tag_field="type", tag="function"):
    """Call this function."""

    function: ChatFunctionName


class AllowedTools(Params):
    """Some of the tools."""

    mode: AllowedToolsMode
    tools: list[NamedToolChoice]


class AllowedToolsChoice(Params, tag_field="type", tag="allowed_tools"):
    """Call none but these tools, without changing what the prompt says of the others."""

    allowed_tools: AllowedTools


ChatToolChoiceObject = NamedToolChoice | AllowedToolsChoice
ChatToolChoice = ToolChoiceMode | NamedToolChoice | AllowedToolsChoice
"""A mode, one function, or some of the tools."""


class JsonSchemaFormat(Params):
    """The schema an answer is held to."""

    name: ToolName
    description: str | None = None
    schema: JsonObject | None = None
    strict: bool | None = None


class TextFormat(Params, tag_field="type", tag="text"):
    """Free text."""


class JsonObjectFormat(Params, tag_field="type", tag="json_object"):
    """Any JSON object."""


class JsonSchemaResponseFormat(Params, tag_field="type", tag="json_schema"):
    """JSON that matches a schema."""

    json_schema: JsonSchemaFormat


ResponseFormat = TextFormat | JsonObjectFormat | JsonSchemaResponseFormat


class StructuredOutputs(Params):
    """What an answer must look like beyond JSON; give exactly one."""

    regex: str | None = None
    choice: list[str] | None = None
    """The answer is one of these."""
    lark: str | None = None
    """A grammar in Lark's form."""
