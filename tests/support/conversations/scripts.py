"""The conversations: what happens in each.

Keys of params rise, since not every language keeps another order. No stream gives credit
just before its end: whether a client still does so then is a matter of luck.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tests.support.conversations.player import Fields
from tests.support.conversations.stage import Stage

Script = Callable[[Stage], Awaitable[None]]
CHAT: Final = "chat.create"
COMPLETE: Final = "generate.create"
INTEGERS: Final = {
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "type": "object",
}
ADD: Final = {"function": {"name": "add", "parameters": INTEGERS}, "type": "function"}
PRINT: Final = {"function": {"name": "print"}, "type": "function"}
ADDS: Final = {"name": "add", "behaviour": "answer", "result": "3", "parameters": INTEGERS}
FAILS: Final = {"name": "print", "behaviour": "throw", "message": "out of paper"}
HOLDS: Final = {"name": "print", "behaviour": "hold"}


@dataclass(frozen=True)
class Conversation:
    """One script."""

    name: str
    what: str
    script: Script
    protocols: tuple[int, ...]


CONVERSATIONS: list[Conversation] = []


def conversation(what: str, *, protocols: tuple[int, ...] = (1,)) -> Callable[[Script], Script]:
    """Decorator: a script is a conversation under its function's name."""

    def note(script: Script) -> Script:
        CONVERSATIONS.append(Conversation(script.__name__, what, script, protocols))
        return script

    return note


def said(text: str) -> list[Fields]:
    """Messages of a chat in which a person says something."""
    return [{"content": text, "role": "user"}]


@conversation("A host says hello, asks how the engine is, and answers its ping.")
async def hello_and_ping(stage: Stage) -> None:
    await stage.connect()
    await stage.act("call", request="r", engine="a", method="engine.ping", params={})
    await stage.engine(pings=True)
    await stage.wait_for_step()


@conversation("A prompt is continued, token by token.")
async def generate_streamed(stage: Stage) -> None:
    await stage.connect()
    params = {"max_tokens": 4, "prompt": "abc", "temperature": 0}
    await stage.act("stream", request="r", engine="a", method=COMPLETE, params=params, read="all")
    await stage.compute_all()


@conversation("A chat is answered in pieces, and its tokens are counted at the end.")
async def chat_streamed_with_usage(stage: Stage) -> None:
    await stage.connect()
    params = {"messages": said("count 3"), "stream_options": {"include_usage": True}}
    await stage.act("stream", request="r", engine="a", method=CHAT, params=params, read="all")
    await stage.compute_all()


@conversation("A chat is answered in one piece.")
async def chat_not_streamed(stage: Stage) -> None:
    await stage.connect()
    await stage.act("call", request="r", engine="a", method=CHAT, params={"messages": said("count 3")})
    await stage.compute_all()


@conversation("Two streams run side by side, and their events share messages.")
async def two_streams(stage: Stage) -> None:
    await stage.connect()
    for request, prompt in (("r", "abc"), ("q", "klm")):
        params = {"max_tokens": 3, "prompt": prompt}
        await stage.act("stream", request=request, engine="a", method=COMPLETE, params=params, read="all")
    await stage.compute_all()


@conversation("A parameter is misspelt: the error names the one that was meant.")
async def invalid_params(stage: Stage) -> None:
    await stage.connect()
    params = {"messages": said("Hello"), "temprature": 0.5}
    await stage.act("call", request="r", engine="a", method=CHAT, params=params)


@conversation("A method is misspelt: the error names the one that was meant.")
async def unknown_method(stage: Stage) -> None:
    await stage.connect()
    await stage.act("call", request="r", engine="a", method="chat.creat", params={})


@conversation(
    "A reader leaves in the middle of a stream; what the engine still says of it counts for nothing."
)
async def cancel_in_the_middle(stage: Stage) -> None:
    await stage.connect()
    params = {"messages": said("talk")}
    await stage.act("stream", request="r", engine="a", method=CHAT, params=params, read="all")
    await stage.engine(steps=3)
    await stage.act("cancel", request="r")
    await stage.act("call", request="q", engine="a", method="tokens.encode", params={"text": "ab"})


@conversation("A request runs out of time: its error holds what there was by then.")
async def deadline(stage: Stage) -> None:
    await stage.connect()
    params = {"messages": said("talk")}
    await stage.act(
        "stream", request="r", engine="a", method=CHAT, params=params, read="all", deadline_ms=1000
    )
    await stage.engine(steps=3)
    await stage.wait_for_step()


@conversation("The model calls a tool, the host runs it, the model answers with its result.")
async def tool_answered(stage: Stage) -> None:
    await stage.connect(tools=[ADDS])
    params = {
        "messages": said('call add {"a": 1, "b": 2}'),
        "tool_execution": "host",
        "tools": [ADD],
    }
    await stage.act("call", request="r", engine="a", method=CHAT, params=params)
    await stage.compute_all()


@conversation("The tool that the model calls fails: the model is told, and the chat goes on.")
async def tool_that_fails(stage: Stage) -> None:
    await stage.connect(tools=[FAILS])
    params = {
        "messages": said("call print {}\nthen never mind"),
        "tool_execution": "host",
        "tools": [PRINT],
    }
    await stage.act("call", request="r", engine="a", method=CHAT, params=params)
    await stage.compute_all()


@conversation("A chat is cancelled while the host runs a tool for it: the tool's request is cancelled, too.")
async def host_request_cancelled(stage: Stage) -> None:
    await stage.connect(tools=[HOLDS])
    params = {"messages": said("call print {}"), "tool_execution": "host", "tools": [PRINT]}
    await stage.act("call", request="r", engine="a", method=CHAT, params=params)
    await stage.compute_all()
    await stage.act("cancel", request="r")


@conversation("A reader pauses: events wait for credit, and text that waits is joined.")
async def credit_in_the_middle(stage: Stage) -> None:
    await stage.connect()
    params = {"max_tokens": 9, "prompt": "abc"}
    await stage.act("stream", request="r", engine="a", method=COMPLETE, params=params, credit=4, read=1)
    await stage.engine(steps=7)
    await stage.act("read", request="r", count="all")
    await stage.compute_all()


@conversation("The engine speaks another version of the protocol, and says goodbye.", protocols=(2,))
async def bye_for_a_version(stage: Stage) -> None:
    await stage.connect()


@conversation("The engine tells what nobody has asked for; what is unknown is ignored.")
async def notification(stage: Stage) -> None:
    await stage.connect()
    await stage.act("call", request="r", engine="a", method="tokens.encode", params={"text": "hi"})
    model = {"name": "smollm2-135m", "state": "ready", "executor": "scripted", "context_length": 4096}
    await stage.engine(notify="models.changed", body={"model": model})
    await stage.engine(notify="of.tomorrow", body={"any": ["thing"]})
    await stage.act("call", request="q", engine="a", method="tokens.decode", params={"token_ids": [104, 105]})
