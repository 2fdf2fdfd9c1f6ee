"""Functions as tools: their schemas, how they are called, and what becomes of their failures."""

import asyncio
import threading
from typing import Annotated, Literal

import msgspec
import pytest

from sidecar_client import Engine, HostTools, SyncEngine, errors
from sidecar_protocol.chat import ChatCompletion
from sidecar_protocol.host import HostCallTool, ToolOutput

OPTIONS = {"executor": "scripted"}


class Place(msgspec.Struct):
    """Somewhere."""

    city: str
    country: str = "CH"


def weather(
    place: Place,
    days: Annotated[int, msgspec.Meta(description="How far ahead", ge=1)] = 1,
    unit: Literal["celsius", "kelvin"] = "celsius",
) -> dict[str, object]:
    """The weather at a place."""
    return {"where": place.city, "days": days, "unit": unit}


async def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


async def run(tools: HostTools, name: str, arguments: dict[str, object]) -> object:
    output = await tools.call(HostCallTool(call_id="c", name=name, arguments=arguments))
    assert not output.is_error
    return output.output


def test_a_schema_comes_from_the_type_hints() -> None:
    (definition,) = HostTools([weather]).definitions
    assert msgspec.to_builtins(definition) == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather at a place.",
            "parameters": {
                "type": "object",
                "properties": {
                    "place": {"$ref": "#/$defs/Place"},
                    "days": {"type": "integer", "description": "How far ahead", "minimum": 1, "default": 1},
                    "unit": {"enum": ["celsius", "kelvin"], "default": "celsius"},
                },
                "required": ["place"],
                "additionalProperties": False,
                "$defs": {
                    "Place": {
                        "title": "Place",
                        "description": "Somewhere.",
                        "type": "object",
                        "properties": {
                            "city": {"type": "string"},
                            "country": {"type": "string", "default": "CH"},
                        },
                        "required": ["city"],
                    }
                },
            },
        },
    }


def test_a_function_without_parameters_takes_none() -> None:
    def now() -> str:
        return "noon"

    (definition,) = HostTools([now]).definitions
    assert definition.function.parameters == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }
    assert definition.function.description is None


async def test_arguments_arrive_as_the_types_of_the_parameters() -> None:
    tools = HostTools([weather, add])
    assert await run(tools, "weather", {"place": {"city": "Bern"}, "days": 3}) == (
        '{"where":"Bern","days":3,"unit":"celsius"}'
    )
    assert await run(tools, "add", {"a": "1", "b": 2}) == "3"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"a": 1}, "missing required field `b`"),
        ({"a": 1, "b": 2, "c": 3}, "unknown field `c`"),
        ({"a": 1, "b": "two"}, "arguments of add: "),
    ],
)
async def test_arguments_that_do_not_fit_are_told_to_the_model(
    arguments: dict[str, object], problem: str
) -> None:
    output = await HostTools([add]).call(HostCallTool(call_id="c", name="add", arguments=arguments))
    assert output.is_error
    assert problem in str(output.output)


@pytest.mark.parametrize(
    ("error", "told"), [(RuntimeError("out of paper"), "out of paper"), (ValueError(), "ValueError")]
)
async def test_what_a_function_raises_is_told_to_the_model(error: Exception, told: str) -> None:
    def fail() -> None:
        raise error

    output = await HostTools([fail]).call(HostCallTool(call_id="c", name="fail", arguments={}))
    assert output == ToolOutput(output=told, is_error=True)


async def test_a_result_that_is_no_json_is_told_to_the_model() -> None:
    def odd() -> object:
        return threading.Event()

    output = await HostTools([odd]).call(HostCallTool(call_id="c", name="odd", arguments={}))
    assert output.is_error
    assert "Event" in str(output.output)


async def test_a_cancelled_call_ends_when_its_function_has() -> None:
    running, ending, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            await ending.wait()
            ended.set()

    call = asyncio.ensure_future(HostTools([wait]).call(HostCallTool(call_id="c", name="wait", arguments={})))
    await running.wait()
    call.cancel()
    await asyncio.sleep(0)
    ending.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended.is_set()


async def test_a_plain_function_does_not_hold_the_loop_up() -> None:
    released = threading.Event()

    def block() -> str:
        assert released.wait(10)
        return threading.current_thread().name

    running = asyncio.ensure_future(run(HostTools([block]), "block", {}))
    await asyncio.sleep(0)
    released.set()
    assert await running != threading.current_thread().name


async def test_what_a_function_makes_is_awaited() -> None:
    tools = HostTools()
    tools.add(lambda: add(1, 2), name="later", description="A sum.")
    assert await run(tools, "later", {}) == "3"


async def test_an_unknown_tool_is_named_with_those_there_are() -> None:
    with pytest.raises(errors.NotFound, match="no tool 'sub'; there are add"):
        await run(HostTools([add]), "sub", {})


def test_what_cannot_be_a_tool_is_refused() -> None:
    def untyped(a) -> None:
        """No type."""

    def several(*numbers: int) -> None:
        """Not by name."""

    def odd(lock: threading.Event) -> None:
        """No JSON."""

    tools = HostTools([add])
    with pytest.raises(ValueError, match="a tool 'add' already"):
        tools.register(add)
    with pytest.raises(ValueError, match="is no name of a tool"):
        tools.add(add, name="a b")
    with pytest.raises(TypeError, match="tool untyped: parameter a has no type"):
        tools.add(untyped)
    with pytest.raises(TypeError, match="tool several: parameter numbers cannot be given by name"):
        tools.add(several)
    with pytest.raises(TypeError, match="tool odd"):
        tools.add(odd)
    assert [tool.function.name for tool in tools.definitions] == ["add"]


def failing_tools() -> HostTools:
    tools = HostTools([add])

    @tools.register
    def fail() -> None:
        raise RuntimeError("out of paper")

    return tools


async def test_a_chat_calls_functions_of_this_program() -> None:
    tools = failing_tools()
    async with Engine.spawn(app_id="t", options=OPTIONS, handlers=tools.handlers, restart=None) as engine:

        async def chat(said: str) -> ChatCompletion:
            return await engine.chat.create(
                messages=[{"role": "user", "content": said}], tools=tools.definitions, tool_execution="host"
            )

        assert (await chat('call add {"a": 20, "b": 22}')).choices[0].message.content == "42"
        failed = (await chat("call fail {}\ncall add {}\nthen never mind")).tool_rounds[0].replies
        assert failed[0].content == "out of paper"
        assert failed[1].content.startswith("arguments of add: ")


def test_the_same_without_asyncio() -> None:
    tools = failing_tools()
    with SyncEngine.spawn(app_id="t", options=OPTIONS, handlers=tools.handlers, restart=None) as engine:
        completion = engine.chat.create(
            messages=[{"role": "user", "content": 'call add {"a": 1, "b": 2}'}],
            tools=tools.definitions,
            tool_execution="host",
        )
        assert completion.choices[0].message.content == "3"
