"""Chat requests with tools for the scripted model, and a runner for them."""

import asyncio

import msgspec

from sidecar.errors import NeedsAuth
from sidecar.openai.tool_run import ToolInvocation, ToolOutcome
from sidecar_protocol.chat import ChatCompletion, ChatCreate

ADD = 'call add {"a": 1, "b": 2}'
WAIT = "call wait {}"


def tool(name: str, **fields: object) -> dict[str, object]:
    return {"type": "function", "function": {"name": name, **fields}}


def request(said: str, **fields: object) -> ChatCreate:
    plain = {
        "messages": [{"role": "user", "content": said}],
        "tools": [tool("add", description="Adds."), tool("wait"), tool("other")],
        **fields,
    }
    return msgspec.convert(plain, ChatCreate)


async def run_tool(call: ToolInvocation) -> ToolOutcome:
    match call.name:
        case "add":
            return ToolOutcome(str(sum(msgspec.convert(call.arguments, dict[str, int]).values())))
        case "wait":
            await asyncio.Event().wait()
    raise NeedsAuth("sign in first")


def calls_of(completion: ChatCompletion) -> list[tuple[str, str]]:
    calls = completion.choices[0].message.tool_calls or []
    return [(call.function.name, call.function.arguments) for call in calls]
