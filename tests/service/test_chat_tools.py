"""Tools in chats over the wire: a real sidecar with the scripted model, and handlers in this process."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from sidecar_client import Engine, HostHandlers, errors
from sidecar_protocol.chat import ChatCompletion
from sidecar_protocol.host import HostCallTool


class Tools:
    """What the host's handlers were asked, and what they wait for."""

    def __init__(self) -> None:
        self.asked: list[HostCallTool] = []
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.released = asyncio.Event()

    async def call(self, request: HostCallTool) -> dict[str, object]:
        self.asked.append(request)
        match request.name, request.arguments:
            case "add", {"a": int(a), "b": int(b)}:
                return {"output": str(a + b)}
            case "parts", _:
                return {
                    "output": [{"type": "input_text", "text": "one"}, {"type": "input_text", "text": "two"}]
                }
            case "picture", _:
                return {"output": [{"type": "input_image", "image_url": "data:,"}]}
            case "failed", _:
                return {"output": "out of luck", "is_error": True}
            case "shapeless", _:
                return {"result": 3}
            case "wait", _:
                await self.wait(stubborn=False)
            case "stubborn", _:
                await self.wait(stubborn=True)
            case "refused", _:
                raise errors.PermissionDenied("not today")
        raise KeyError("no such thing")

    async def wait(self, *, stubborn: bool) -> None:
        self.waiting.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            if not stubborn:
                raise
            await self.released.wait()


NAMES = ("add", "parts", "picture", "failed", "shapeless", "wait", "stubborn", "refused", "raises")
OFFER = [{"type": "function", "function": {"name": name}} for name in NAMES]


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
async def engine(tools: Tools) -> AsyncIterator[Engine]:
    handlers: HostHandlers = {"host.call_tool": tools.call}
    options = {"executor": "scripted"}
    async with Engine.spawn(app_id="tools", options=options, handlers=handlers, restart=None) as engine:
        yield engine
        tools.released.set()


def params(said: str, **fields: object) -> dict[str, object]:
    messages = [{"role": "user", "content": said}]
    return {"messages": messages, "tools": OFFER, "tool_execution": "host", **fields}


async def chat(engine: Engine, said: str, **fields: object) -> ChatCompletion:
    return await engine.chat.create(**params(said, **fields))


async def test_the_host_is_asked_with_the_calls_id_name_and_arguments(engine: Engine, tools: Tools) -> None:
    completion = await chat(engine, 'call add {"a": 1, "b": 2}\nthen it is done')
    (call,) = completion.tool_rounds[0].message.tool_calls or ()
    assert tools.asked == [HostCallTool(call_id=call.id, name="add", arguments={"a": 1, "b": 2})]
    assert completion.tool_rounds[0].replies[0].content == "3"
    assert completion.choices[0].message.content == "it is done"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("parts", "one\ntwo"),
        ("failed", "out of luck"),
        ("refused", "Error: not today"),
        ("raises", "Error: the host answered internal: the handler raised KeyError: 'no such thing'"),
        ("picture", "Error: the result of picture holds a picture or a file; the model reads text alone"),
    ],
)
async def test_whatever_a_handler_does_the_model_is_told(engine: Engine, name: str, told: str) -> None:
    assert (await chat(engine, f"call {name} {{}}")).choices[0].message.content == told


async def test_a_result_of_another_shape_is_told_too(engine: Engine) -> None:
    content = (await chat(engine, "call shapeless {}")).choices[0].message.content
    assert content is not None
    assert content.startswith("Error: the host's result of shapeless has another shape")


async def test_a_stream_shows_calls_results_and_answers(engine: Engine) -> None:
    stream = engine.stream("chat.create", params('call add {"a": 1, "b": 2}\ncall failed {}\nthen ok'))
    kinds = [event["type"] for event in [event async for event in stream] if isinstance(event, dict)]
    assert kinds.count("tool_result") == 2
    assert kinds.index("chunk") < kinds.index("tool_result") < len(kinds) - 1


async def test_a_cancelled_chat_cancels_the_handler(engine: Engine, tools: Tools) -> None:
    stream = engine.stream("chat.create", params("Hm.\ncall wait {}"))
    await asyncio.wait_for(tools.waiting.wait(), 20)
    stream.cancel()
    with pytest.raises(errors.Cancelled) as raised:
        await stream.result()
    assert tools.cancelled.is_set()
    assert "unfinished_tools" not in raised.value.data
    partial = raised.value.partial
    assert isinstance(partial, dict)
    assert partial["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "wait"


async def test_a_handler_that_goes_on_is_named_within_the_grace(engine: Engine, tools: Tools) -> None:
    stream = engine.stream("chat.create", params('call stubborn {}\ncall add {"a": 1, "b": 2}'))
    await asyncio.wait_for(tools.waiting.wait(), 20)
    stream.cancel()
    began = time.monotonic()
    with pytest.raises(errors.Cancelled) as raised:
        await stream.result()
    assert time.monotonic() - began < 2
    (unfinished,) = as_list(raised.value.data["unfinished_tools"])
    assert unfinished["name"] == "stubborn"
    # The late result is nobody's any more, and the connection goes on.
    tools.released.set()
    assert (await chat(engine, "call failed {}")).choices[0].message.content == "out of luck"


async def test_a_deadline_ends_the_tools_too(engine: Engine, tools: Tools) -> None:
    await engine.models.load("default")
    with pytest.raises(errors.DeadlineExceeded):
        await engine.call("chat.create", params("call wait {}"), deadline_seconds=2)
    assert tools.cancelled.is_set()


async def test_tokens_of_tools_are_counted_as_a_chat_uses_them(engine: Engine) -> None:
    messages = [{"role": "user", "content": "count 3"}]
    counted = await engine.tokens.count(messages=messages, tools=OFFER)
    completion = await engine.chat.create(messages=messages, tools=OFFER)
    assert counted.count == completion.usage.prompt_tokens
    assert counted.count > (await engine.tokens.count(messages=messages)).count


async def test_a_host_without_tools_is_told_so() -> None:
    async with Engine.spawn(app_id="tools", options={"executor": "scripted"}, restart=None) as engine:
        assert "tools" in engine.welcome.capabilities
        with pytest.raises(errors.Unsupported, match=r"did not declare host\.call_tool"):
            await chat(engine, "hello")


def as_list(value: object) -> list[dict[str, str]]:
    assert isinstance(value, list)
    return value
