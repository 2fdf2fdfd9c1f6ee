"""What an engine may be able to do beyond its core; `welcome.capabilities` names what it can."""

from typing import Final

import msgspec


class Capability(msgspec.Struct, frozen=True):
    """A part of the protocol that an engine has as a whole or not at all."""

    doc: str
    extra: str | None = None
    """The extra of the Python distribution that brings it; None: no package is missing for it."""


CAPABILITIES: Final[dict[str, Capability]] = {
    "conversations": Capability("Durable histories of items: conversations.*."),
    "embeddings": Capability("Vectors of texts: embeddings.*."),
    "mcp": Capability(
        "Connections to MCP servers: mcp.*, tools of type mcp, chat.create with `mcp`.", extra="mcp"
    ),
    "model_library": Capability("Models looked at before they are loaded, pulled and removed."),
    "reasoning": Capability("Reasoning told from the answer: `reasoning_effort`, `reasoning_content`."),
    "responses": Capability("OpenAI Responses: responses.*."),
    "sessions": Capability("The agent loop with a tool policy and a journal: sessions.*."),
    "structured_output": Capability("Answers held to a schema, a pattern, a choice or a grammar."),
    "tools": Capability("Tool calls in chat.create, run by the host."),
}
"""Every capability of this protocol version."""
