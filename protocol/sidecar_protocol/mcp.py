"""mcp.*: connections to MCP servers, and what they offer. Their answers pass through as MCP writes them."""

from typing import Annotated, ClassVar

import msgspec

from sidecar_protocol.base import Coalesce, Event, Params, Result, StreamingParams, open_enum
from sidecar_protocol.common import Done, Empty, JsonObject
from sidecar_protocol.mcp_servers import McpServer, McpServerList, McpTransport, ServerName
from sidecar_protocol.mcp_types import (
    McpCompletion,
    McpContent,
    McpLogLevel,
    McpPrompt,
    McpPromptMessage,
    McpResource,
    McpResourceContents,
    McpResourceTemplate,
    McpServerTool,
)
from sidecar_protocol.registry import method

McpConnectStage = Annotated[str, open_enum("start", "connect", "authorize", "initialize", "list")]
"""What of connecting is being done."""
SERVER_ERRORS = ("not_found", "needs_auth", "upstream_failed")


class McpExposedTool(Result):
    """A tool of a server, with what it is called here."""

    server: str
    exposed_name: str
    """What models call it: server__tool, within OpenAI's rule for names."""
    tool: McpServerTool


class McpToolList(Result):
    """Tools of one server, or of all."""

    tools: list[McpExposedTool]


class McpToolCallResult(Result, rename="camel"):
    """What a tool gave back; a failure of the tool is a result with `isError`."""

    content: list[McpContent]
    structured_content: object = None
    is_error: bool = False
    meta: JsonObject | None = msgspec.field(name="_meta", default=None)
    """Metadata of the server's own."""


class McpPromptList(Result):
    """Prompts of a server."""

    prompts: list[McpPrompt]


class McpPromptResult(Result, kw_only=True):
    """A prompt, filled in."""

    description: str | None = None
    messages: list[McpPromptMessage]


class McpResourceList(Result):
    """Resources of a server."""

    resources: list[McpResource]


class McpResourceTemplateList(Result, rename="camel"):
    """Templates of resources' addresses."""

    resource_templates: list[McpResourceTemplate]


class McpResourceRead(Result):
    """What a resource holds; a folder may hold several."""

    contents: list[McpResourceContents]


class McpCompletionResult(Result):
    """How an argument may go on."""

    completion: McpCompletion


class McpPong(Result):
    """The server is there."""

    round_trip_ms: float


class McpConnectEvent(Event, kw_only=True, tag="connect"):
    """How connecting goes."""

    coalesce: ClassVar[Coalesce] = Coalesce.KEEP_LAST

    stage: McpConnectStage


class McpProgressEvent(Event, kw_only=True, tag="progress"):
    """How far a tool says it is."""

    coalesce: ClassVar[Coalesce] = Coalesce.KEEP_LAST

    progress: float
    total: float | None = None
    message: str | None = None


class McpLogEvent(Event, kw_only=True, tag="log"):
    """What a server logged while it worked on the call."""

    level: McpLogLevel
    logger: str | None = None
    data: object = None


McpCallEvent = McpProgressEvent | McpLogEvent


@method(
    "mcp.add_server",
    result=McpServer,
    events=McpConnectEvent,
    errors=("conflict", "permission_denied", "needs_auth", "upstream_failed"),
    capability="mcp",
)
class McpAddServer(StreamingParams, kw_only=True):
    """Connect to a server, and stay connected until it is removed or the engine ends."""

    name: ServerName
    transport: McpTransport
    timeout_ms: int = 60_000
    """How long a call may take, progress or not."""
    connect_timeout_ms: int = 30_000


@method("mcp.remove_server", result=Done, errors=("not_found",), capability="mcp")
class McpRemoveServer(Params):
    """Disconnect a server; its running calls end as cancelled."""

    server: str


@method("mcp.servers", result=McpServerList, capability="mcp")
class McpServers(Empty):
    """Every server, from the configuration and added since."""


@method("mcp.tools", result=McpToolList, errors=SERVER_ERRORS, cancellable=True, capability="mcp")
class McpTools(Params):
    """Tools of one server, or of all that are ready."""

    server: str | None = None


@method(
    "mcp.call_tool",
    result=McpToolCallResult,
    events=McpCallEvent,
    errors=(*SERVER_ERRORS, "permission_denied"),
    idempotent=True,
    capability="mcp",
)
class McpCallTool(StreamingParams, kw_only=True):
    """Call a tool. Cancelling tells the server so."""

    server: str
    name: str
    """As its server names it."""
    arguments: JsonObject = {}
    timeout_ms: int | None = None
    """None: the server's own."""


@method("mcp.prompts", result=McpPromptList, errors=SERVER_ERRORS, cancellable=True, capability="mcp")
class McpPrompts(Params):
    """Prompts of a server."""

    server: str


@method("mcp.get_prompt", result=McpPromptResult, errors=SERVER_ERRORS, cancellable=True, capability="mcp")
class McpGetPrompt(Params):
    """Fill in a prompt."""

    server: str
    name: str
    arguments: dict[str, str] = {}


@method("mcp.resources", result=McpResourceList, errors=SERVER_ERRORS, cancellable=True, capability="mcp")
class McpResources(Params):
    """Resources of a server."""

    server: str


@method(
    "mcp.resource_templates",
    result=McpResourceTemplateList,
    errors=SERVER_ERRORS,
    cancellable=True,
    capability="mcp",
)
class McpResourceTemplates(Params):
    """Templates of a server's resources."""

    server: str


@method("mcp.read_resource", result=McpResourceRead, errors=SERVER_ERRORS, cancellable=True, capability="mcp")
class McpReadResource(Params):
    """What a resource holds."""

    server: str
    uri: str


@method("mcp.subscribe", result=Done, errors=SERVER_ERRORS, capability="mcp")
class McpSubscribe(Params):
    """Be told with mcp.resource_updated when a resource changes."""

    server: str
    uri: str


@method("mcp.unsubscribe", result=Done, errors=SERVER_ERRORS, capability="mcp")
class McpUnsubscribe(Params):
    """No longer be told."""

    server: str
    uri: str


@method("mcp.set_log_level", result=Done, errors=SERVER_ERRORS, capability="mcp")
class McpSetLogLevel(Params):
    """Have a server log more or less."""

    server: str
    level: McpLogLevel


class PromptReference(Params, tag_field="type", tag="ref/prompt"):
    """An argument of a prompt."""

    name: str


class ResourceReference(Params, tag_field="type", tag="ref/resource"):
    """A variable of a resource template."""

    uri: str


CompletionReference = PromptReference | ResourceReference


class CompletionArgument(Params):
    """What is being typed."""

    name: str
    value: str


@method("mcp.complete", result=McpCompletionResult, errors=SERVER_ERRORS, cancellable=True, capability="mcp")
class McpComplete(Params):
    """How an argument of a prompt or a template may go on."""

    server: str
    ref: CompletionReference
    argument: CompletionArgument
    arguments: dict[str, str] = {}
    """Those that are settled already."""


@method("mcp.ping", result=McpPong, errors=SERVER_ERRORS, cancellable=True, capability="mcp")
class McpPing(Params):
    """Whether a server answers."""

    server: str
