"""Everything that can be asked and told: importing this fills the registry."""

from sidecar_protocol import chat, engine, generate, models, tokens
from sidecar_protocol.registry import HOST_REQUESTS, METHODS, NOTIFICATIONS, Method, Notification

__all__ = [
    "HOST_REQUESTS",
    "METHODS",
    "NOTIFICATIONS",
    "Method",
    "Notification",
    "chat",
    "engine",
    "generate",
    "models",
    "tokens",
]
