"""Every method of the protocol: importing this fills the registry."""

from sidecar_protocol import chat, engine, generate, models, tokens
from sidecar_protocol.registry import METHODS, Method

__all__ = ["METHODS", "Method", "chat", "engine", "generate", "models", "tokens"]
