"""Where a chat runs: the seam between the adapter and this computer's engine, or another server."""

from typing import Protocol

from sidecar.openai.chat_turn import ChatTurn
from sidecar_protocol.chat import ChatCreate


class ChatBackend(Protocol):
    """Runs chats."""

    async def run(self, request: ChatCreate, turn: ChatTurn) -> None:
        """Run the request to its end, telling `turn` all of it. Cancelling the task ends the generation."""

    async def count_tokens(self, request: ChatCreate) -> tuple[int, int]:
        """Prompt tokens that `run` would send if nothing were dropped, and the model's context length."""
