"""What the engine asks of the program: handlers that answer, throw, are slow, or too late."""

import asyncio

from tests.clients.runner.client import Client
from tests.clients.runner.engine import Engine
from tests.clients.scenarios.requests import CHAT, Fields, chat, content
from tests.clients.scenarios.table import scenario

INTEGERS = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}
TOOLS: list[Fields] = [
    {"name": "add", "behaviour": "answer", "result": "3", "parameters": INTEGERS},
    {"name": "fail", "behaviour": "throw", "message": "out of paper"},
    {"name": "wait", "behaviour": "hold"},
    {"name": "watch", "behaviour": "hold"},
]


async def scripted(client: Client, **terms: object) -> Engine:
    """An engine whose model calls the tools that it is told to call."""
    return await client.spawn({"executor": "scripted"}, **terms)


def tell(said: str, **params: object) -> Fields:
    """A chat whose tools run in this program."""
    functions = [
        {"name": tool["name"], "description": "A tool.", "parameters": tool.get("parameters")}
        for tool in TOOLS
    ]
    tools = [
        {"type": "function", "function": {key: value for key, value in function.items() if value}}
        for function in functions
    ]
    return chat(said, tools=tools, tool_execution="host", **params)


@scenario
async def a_tool_answers(client: Client) -> None:
    engine = await scripted(client, tools=TOOLS)
    stream = engine.stream(CHAT, tell('call add {"a": 1, "b": 2}'))
    completion = await stream.result()
    question = await client.question()
    assert (question["method"], question["tool"]) == ("host.call_tool", "add")
    assert question["params"] == {"a": 1, "b": 2}
    assert content(completion) == "3"
    ran = next(event for event in stream.events if event["type"] == "tool_result")
    assert ran["name"] == "add"
    assert ran.get("is_error", False) is False


@scenario
async def a_tool_throws(client: Client) -> None:
    engine = await scripted(client, tools=TOOLS)
    stream = engine.stream(CHAT, tell("call fail {}\nthen never mind"))
    completion = await stream.result()
    assert content(completion) == "never mind"
    assert "out of paper" in completion["tool_rounds"][0]["replies"][0]["content"]
    ran = next(event for event in stream.events if event["type"] == "tool_result")
    assert (ran["name"], ran["is_error"]) == ("fail", True)


@scenario
async def a_slow_tool_holds_up_nobody(client: Client) -> None:
    engine = await scripted(client, tools=TOOLS)
    waiting = engine.call(CHAT, tell("call wait {}"))
    question = await client.question()
    stream = engine.stream(CHAT, chat("count 30"))
    assert content(await stream.result()) == stream.text
    assert waiting.ended is None
    client.answer(question, result="at last")
    assert content(await waiting.result()) == "at last"


@scenario
async def two_tools_run_side_by_side(client: Client) -> None:
    engine = await scripted(client, tools=TOOLS)
    chatting = engine.call(CHAT, tell("call wait {}\ncall watch {}"))
    questions = {question["tool"]: question for question in [await client.question(n) for n in range(2)]}
    client.answer(questions["watch"], result="second")
    client.answer(questions["wait"], result="first")
    assert content(await chatting.result()) == "first\nsecond"


@scenario
async def a_tool_is_withdrawn_and_its_late_result_ignored(client: Client) -> None:
    engine = await scripted(client, tools=TOOLS)
    chatting = engine.stream(CHAT, tell("call wait {}"))
    question = await client.question()
    await chatting.leave()
    await client.withdrawal(question)
    client.answer(question, result="too late")
    await engine.settled()
    assert content(await engine.ask(CHAT, tell('call add {"a": 1, "b": 2}'))) == "3"
    assert engine.notifications == []


@scenario
async def a_deadline_withdraws_the_tools_of_its_chat(client: Client) -> None:
    engine = await scripted(client, tools=TOOLS)
    await engine.ask("models.load", {"model": "default"})
    chatting = engine.call(CHAT, tell("call wait {}"), deadline_ms=1_500)
    question = await client.question()
    error = await chatting.error("deadline_exceeded")
    await client.withdrawal(question)
    calls = error["data"]["partial"]["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["wait"]
    await engine.settled()


@scenario
async def a_handler_answers_and_throws(client: Client) -> None:
    handlers = [{"method": "host.call_tool", "behaviour": "hold"}]
    engine = await scripted(client, handlers=handlers)
    chatting = engine.call(CHAT, tell('call add {"a": 20, "b": 22}\nthen call fail {}\nthen well'))
    question = await client.question(0)
    assert question["method"] == "host.call_tool"
    assert question["params"]["name"] == "add"
    assert question["params"]["arguments"] == {"a": 20, "b": 22}
    client.answer(question, result={"output": "42"})
    client.answer(await client.question(1), throw="out of ink")
    completion = await chatting.result()
    assert content(completion) == "well"
    replies = [a_round["replies"][0]["content"] for a_round in completion["tool_rounds"]]
    assert replies[0] == "42"
    assert "out of ink" in replies[1]


@scenario
async def without_a_handler_nothing_is_asked(client: Client) -> None:
    engine = await scripted(client)
    error = await engine.call(CHAT, tell("call wait {}")).error("unsupported")
    assert "host.call_tool" in error["message"]
    await asyncio.gather(*(engine.ask("engine.ping") for _ in range(3)))
    assert client.asked == []
