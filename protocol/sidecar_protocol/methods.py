"""Everything that can be asked and told: importing this fills the registry."""

from sidecar_protocol import (
    chat,
    conversations,
    embeddings,
    engine,
    generate,
    host,
    mcp,
    models,
    notifications,
    responses,
    sessions,
    tokens,
)
from sidecar_protocol.registry import HOST_REQUESTS, METHODS, NOTIFICATIONS, Method, Notification

__all__ = [
    "HOST_REQUESTS",
    "METHODS",
    "NOTIFICATIONS",
    "Method",
    "Notification",
    "chat",
    "conversations",
    "embeddings",
    "engine",
    "generate",
    "host",
    "mcp",
    "models",
    "notifications",
    "responses",
    "sessions",
    "tokens",
]
