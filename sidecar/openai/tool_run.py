"""Running the calls of one answer at the same time, and what the model is told of each."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.errors import SidecarError
from sidecar.openai.tool_choice import ToolOffer
from sidecar_protocol.chat import ToolReply
from sidecar_protocol.chat_messages import ChatToolCall

CANCEL_GRACE_SECONDS: Final = 0.25
"""What tools get to end after a cancel, before their request ends without them."""


@dataclass(frozen=True, slots=True)
class ToolInvocation:
    """One call to be run; its arguments are a JSON object, not held to the tool's schema."""

    id: str
    name: str
    arguments: dict[str, object]


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What a tool gave back; an error is told to the model like any other content."""

    content: str
    is_error: bool = False


ToolRunner = Callable[[ToolInvocation], Awaitable[ToolOutcome]]
"""Runs one call. What it raises of `sidecar.errors` becomes an error that the model is told."""


@dataclass(frozen=True, slots=True)
class ToolEnd:
    """A call that was run, or could not be."""

    call: ChatToolCall
    reply: ToolReply
    is_error: bool
    cut_characters: int


class ToolRun:
    """Runs calls. `ended` hears of each as it ends; `max_characters` bound what the model is told of one."""

    def __init__(
        self, run_tool: ToolRunner, offer: ToolOffer, max_characters: int, ended: Callable[[ToolEnd], None]
    ) -> None:
        self._run_tool = run_tool
        self._offer = offer
        self._max_characters = max_characters
        self._ended = ended
        self.unfinished: list[ChatToolCall] = []
        """After a cancel: the calls whose tools had not ended when its grace was over."""

    async def run(self, calls: Sequence[ChatToolCall]) -> list[ToolReply]:
        """Replies in the calls' order. A cancel reaches the tools, which get CANCEL_GRACE_SECONDS."""
        tasks = {asyncio.create_task(self._run_one(call)): call for call in calls}
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            try:
                await asyncio.wait(tasks, timeout=CANCEL_GRACE_SECONDS)
            finally:
                self.unfinished = [call for task, call in tasks.items() if not task.done()]
            raise
        return [task.result() for task in tasks]

    async def _run_one(self, call: ChatToolCall) -> ToolReply:
        outcome = await self._outcome(call)
        content = outcome.content[: self._max_characters]
        cut = len(outcome.content) - len(content)
        if cut:
            content += (
                f"\n[The result was cut here: {cut} of its {len(outcome.content)} characters are missing.]"
            )
        reply = ToolReply(role="tool", tool_call_id=call.id, content=content)
        self._ended(ToolEnd(call, reply, outcome.is_error, cut))
        return reply

    async def _outcome(self, call: ChatToolCall) -> ToolOutcome:
        name = call.function.name
        if name not in self._offer.allowed:
            reason = "may not be called now" if name in self._offer.names else "does not exist"
            allowed = ", ".join(sorted(self._offer.allowed))
            return _error(f"the function {name} {reason}; these may be called: {allowed}")
        try:
            arguments = json.loads(call.function.arguments)
        except ValueError as error:
            return _error(f"the arguments of {name} are not JSON: {error}")
        if not isinstance(arguments, dict):
            return _error(f"the arguments of {name} must be a JSON object")
        try:
            return await self._run_tool(ToolInvocation(call.id, name, arguments))
        except SidecarError as error:
            return _error(error.message)


def _error(message: str) -> ToolOutcome:
    return ToolOutcome(f"Error: {message}", is_error=True)
