"""MCP servers: how they are reached, and what is known of them."""

from typing import Annotated

import msgspec

from sidecar_protocol.base import Params, Result, open_enum
from sidecar_protocol.mcp_types import McpIcon

McpServerState = Annotated[
    str, open_enum("connecting", "ready", "needs_auth", "waiting", "failed", "disabled")
]
"""How a connection is; "waiting" is the time before it is tried again."""
TransportKind = Annotated[str, open_enum("stdio", "http", "sse")]
"""How a server is reached."""
ServerName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
"""Letters, digits, underscore and dash, at most 64."""


class NoAuth(Params, tag_field="type", tag="none"):
    """The server takes everybody."""


class BearerAuth(Params, tag_field="type", tag="bearer"):
    """A token in every request."""

    token: str


class OAuth(Params, tag_field="type", tag="oauth"):
    """Sign in as MCP says: OAuth 2.1 with PKCE; the host opens the browser (host.open_url)."""

    client_id: str | None = None
    """None: the client registers itself, where the server allows it."""
    client_secret: str | None = None
    scopes: list[str] = []
    redirect_uri: str | None = None
    """A scheme of the application's own; None: a listener on 127.0.0.1 for as long as it takes."""


McpAuth = NoAuth | BearerAuth | OAuth


class StdioTransport(Params, tag_field="type", tag="stdio"):
    """A program that the engine starts; it runs in a process group of its own and ends with the engine."""

    command: str
    args: list[str] = []
    env: dict[str, str] = {}
    """Added to a scrubbed environment."""
    cwd: str | None = None


class HttpTransport(Params, tag_field="type", tag="http"):
    """Streamable HTTP."""

    url: str
    headers: dict[str, str] = {}
    auth: McpAuth | None = None
    """None: OAuth when the server asks for it."""


class SseTransport(Params, tag_field="type", tag="sse"):
    """HTTP with server-sent events, as servers before 2025-03-26 speak it."""

    url: str
    headers: dict[str, str] = {}
    auth: McpAuth | None = None
    """None: OAuth when the server asks for it."""


McpTransport = StdioTransport | HttpTransport | SseTransport


class McpFeatures(Result):
    """What a server offers."""

    tools: bool
    prompts: bool
    resources: bool
    subscriptions: bool
    completions: bool
    logging: bool


class McpServerInfo(Result, rename="camel"):
    """What a server says of itself, as MCP writes it."""

    name: str
    version: str
    title: str | None = None
    description: str | None = None
    website_url: str | None = None
    icons: list[McpIcon] | None = None


class McpServer(Result):
    """A server this engine is, or should be, connected to."""

    name: str
    """What everything here calls it."""
    transport: TransportKind
    state: McpServerState
    error: str | None = None
    """Why it is not ready."""
    protocol_version: str | None = None
    """MCP's revision that both speak."""
    info: McpServerInfo | None = None
    features: McpFeatures | None = None
    instructions: str | None = None
    tools: int | None = None
    """How many tools it has."""


class McpServerList(Result):
    """Every server, whatever its state."""

    servers: list[McpServer]
