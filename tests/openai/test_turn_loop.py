"""Calls come out as OpenAI says, tools run between answers, and every limit is told."""

import asyncio
import json

import msgspec
import pytest

from sidecar.errors import InvalidParams, Unsupported
from sidecar.openai.adapter import OpenAIAdapter
from sidecar.openai.tool_run import ToolInvocation, ToolOutcome
from sidecar_protocol.chat import ChatChunkEvent, ChatCompletion, ChatEvent, ToolResultEvent
from tests.support.tool_requests import ADD, WAIT, calls_of, request, run_tool, tool


async def test_calls_end_the_completion(adapter: OpenAIAdapter) -> None:
    completion = await adapter.chat_completion(request(f"Let me see.\n{ADD}\n{WAIT}"))
    assert calls_of(completion) == [("add", '{"a": 1, "b": 2}'), ("wait", "{}")]
    (choice,) = completion.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Let me see."
    assert len({call.id for call in choice.message.tool_calls or ()}) == 2
    assert all(len(call.id) == 9 and call.id.isalnum() for call in choice.message.tool_calls or ())


async def test_an_answer_of_calls_alone_has_no_content(adapter: OpenAIAdapter) -> None:
    completion = await adapter.chat_completion(request(ADD))
    message = msgspec.to_builtins(completion)["choices"][0]["message"]
    assert set(message) == {"role", "tool_calls"}
    assert message["tool_calls"][0]["type"] == "function"


async def test_chunks_add_up_to_the_completion(adapter: OpenAIAdapter) -> None:
    events: list[ChatEvent] = []
    loop = adapter.start(request(f"Well.\n{ADD}\n{WAIT}\nso", logprobs=True), events.append)
    await loop.run()
    choices = [event.chunk.choices[0] for event in events if isinstance(event, ChatChunkEvent)]
    (whole,) = loop.completion().choices
    assert [choice.delta.role for choice in choices].count("assistant") == 1
    assert choices[0].delta.role == "assistant"
    assert "".join(choice.delta.content or "" for choice in choices) == whole.message.content == "Well.\nso"
    deltas = [delta for choice in choices for delta in choice.delta.tool_calls or ()]
    assert [
        (delta.id, delta.function.name, delta.function.arguments) for delta in deltas if delta.function
    ] == [(call.id, call.function.name, call.function.arguments) for call in whole.message.tool_calls or ()]
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["tool_calls"]
    assert choices[-1].finish_reason == "tool_calls"
    logprobs = [item for choice in choices if choice.logprobs for item in choice.logprobs.content]
    assert whole.logprobs is not None
    assert logprobs == whole.logprobs.content


async def test_text_comes_before_the_call_that_follows_it(adapter: OpenAIAdapter) -> None:
    async for event in adapter.chat_completion_stream(request(f"first\n{ADD}\ntalk")):
        if isinstance(event, ChatChunkEvent) and event.chunk.choices[0].delta.content:
            return
    pytest.fail("no text came")


async def test_without_tools_the_same_text_is_text(adapter: OpenAIAdapter) -> None:
    for fields in ({"tools": None}, {"tools": []}, {"tool_choice": "none"}):
        (choice,) = (await adapter.chat_completion(request(ADD, **fields))).choices
        assert choice.message.tool_calls is None
        assert (choice.message.content or "").startswith("<tool_call>")
        assert choice.finish_reason == "stop"


async def test_a_cut_answer_keeps_length_and_its_text(adapter: OpenAIAdapter) -> None:
    (choice,) = (await adapter.chat_completion(request(ADD, max_tokens=20))).choices
    assert choice.finish_reason == "length"
    assert choice.message.content == '<tool_call>\n{"name":'
    assert choice.message.tool_calls is None


async def test_one_call_at_a_time_ends_the_answer_behind_the_first(adapter: OpenAIAdapter) -> None:
    completion = await adapter.chat_completion(request(f"{ADD}\n{WAIT}\ntalk", parallel_tool_calls=False))
    assert calls_of(completion) == [("add", '{"a": 1, "b": 2}')]
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.usage.completion_tokens < 80


async def test_results_of_the_caller_go_on_from_the_calls(adapter: OpenAIAdapter) -> None:
    asked = request(f"{ADD}\nthen so it is")
    message = (await adapter.chat_completion(asked)).choices[0].message
    assert message.tool_calls is not None
    reply = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "3"}
    messages = [*msgspec.to_builtins(asked.messages), msgspec.to_builtins(message), reply]
    completion = await adapter.chat_completion(request("", messages=messages))
    assert completion.choices[0].message.content == "so it is"


async def test_tools_run_and_the_model_goes_on(adapter: OpenAIAdapter) -> None:
    completion = await adapter.chat_completion_with_tools(
        request('call add {"a": 1}\ncall add {"a": 2}\nthen call add {"a": 3}'), run_tool
    )
    assert completion.choices[0].message.content == "3"
    assert completion.choices[0].finish_reason == "stop"
    assert [[reply.content for reply in item.replies] for item in completion.tool_rounds] == [
        ["1", "2"],
        ["3"],
    ]
    first = completion.tool_rounds[0]
    assert [call.id for call in first.message.tool_calls or ()] == [
        reply.tool_call_id for reply in first.replies
    ]


async def test_what_a_completion_gives_can_be_sent_on(adapter: OpenAIAdapter) -> None:
    asked = request(f"{ADD}\nthen good")
    completion = await adapter.chat_completion_with_tools(asked, run_tool)
    gained = [message for item in completion.tool_rounds for message in (item.message, *item.replies)] + [
        completion.choices[0].message
    ]
    messages = [
        *msgspec.to_builtins(asked.messages),
        *msgspec.to_builtins(gained),
        {"role": "user", "content": "count 3"},
    ]
    following = await adapter.chat_completion(request("", messages=messages))
    assert following.choices[0].message.content == "1 2 3"


async def test_a_stream_tells_of_each_round(adapter: OpenAIAdapter) -> None:
    asked = request(
        f"One.\n{ADD}\nthen Two.\ncall other {{}}\nthen Three.",
        tool_execution="host",
        stream_options={"include_usage": True},
    )
    events = [event async for event in adapter.chat_completion_stream(asked, run_tool)]
    texts = ["", "", ""]
    for event in events:
        if isinstance(event, ChatChunkEvent) and event.chunk.choices:
            texts[event.tool_round] += event.chunk.choices[0].delta.content or ""
    assert texts == ["One.", "Two.", "Three."]
    results = [event for event in events if isinstance(event, ToolResultEvent)]
    assert [(event.tool_round, event.name, event.is_error) for event in results] == [
        (0, "add", False),
        (1, "other", True),
    ]
    last = events[-1]
    assert isinstance(last, ChatChunkEvent)
    assert last.chunk.usage is not None
    rounds = (await adapter.chat_completion_with_tools(asked, run_tool)).usage
    assert last.chunk.usage.completion_tokens == rounds.completion_tokens > 80
    assert rounds.prompt_tokens_details.cached_tokens > 0


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("call other {}", "Error: sign in first"),
        ('call other {"half": "\\ud800"}', "Error: sign in first"),
        (
            "call nothing {}",
            "Error: the function nothing does not exist; these may be called: add, other, wait",
        ),
        (
            '<tool_call>{"name": "add", "arguments": "{a"}</tool_call>',
            "Error: the arguments of add are not JSON",
        ),
        (
            '<tool_call>{"name": "add", "arguments": [1]}</tool_call>',
            "Error: the arguments of add must be a JSON object",
        ),
    ],
)
async def test_a_failure_is_told_to_the_model(adapter: OpenAIAdapter, said: str, told: str) -> None:
    completion = await adapter.chat_completion_with_tools(request(said), run_tool)
    assert completion.tool_rounds[0].replies[0].content.startswith(told)
    assert (completion.choices[0].message.content or "").startswith(told)


async def test_a_long_result_is_cut_and_says_so(adapter: OpenAIAdapter) -> None:
    async def run_long(call: ToolInvocation) -> ToolOutcome:
        return ToolOutcome("x" * 1000)

    asked = request(ADD, tool_execution="host", max_tool_result_characters=100)
    events = [event async for event in adapter.chat_completion_stream(asked, run_long)]
    assert [event.cut_characters for event in events if isinstance(event, ToolResultEvent)] == [900]
    completion = await adapter.chat_completion_with_tools(asked, run_long)
    note = "\n[The result was cut here: 900 of its 1000 characters are missing.]"
    assert completion.choices[0].message.content == "x" * 100 + note


async def test_at_the_last_round_calls_are_given_back_not_run(adapter: OpenAIAdapter) -> None:
    ran: list[str] = []

    async def run_noted(call: ToolInvocation) -> ToolOutcome:
        ran.append(json.dumps(call.arguments))
        return ToolOutcome("ok")

    said = "\nthen ".join(f'call add {{"a": {number}}}' for number in range(1, 5))
    completion = await adapter.chat_completion_with_tools(request(said, max_tool_rounds=2), run_noted)
    assert ran == ['{"a": 1}', '{"a": 2}']
    assert calls_of(completion) == [("add", '{"a": 3}')]
    assert completion.choices[0].finish_reason == "tool_calls"
    assert len(completion.tool_rounds) == 2


async def test_several_tools_run_at_the_same_time(adapter: OpenAIAdapter) -> None:
    together = asyncio.Barrier(3)

    async def meet(call: ToolInvocation) -> ToolOutcome:
        async with asyncio.timeout(10):
            await together.wait()
        return ToolOutcome(call.name)

    completion = await adapter.chat_completion_with_tools(request(f"{ADD}\n{WAIT}\ncall other {{}}"), meet)
    assert completion.choices[0].message.content == "add\nwait\nother"


@pytest.mark.parametrize(
    ("said", "choice", "problem"),
    [
        ("hello", "required", "answered without the call"),
        ("hello", {"type": "function", "function": {"name": "add"}}, "answered without the call"),
        (
            WAIT,
            {"type": "allowed_tools", "allowed_tools": {
                "mode": "auto", "tools": [{"type": "function", "function": {"name": "add"}}]}},
            "called wait, which tool_choice does not allow",
        ),
    ],
)  # fmt: skip
async def test_a_choice_that_the_model_does_not_keep_is_an_error(
    adapter: OpenAIAdapter, said: str, choice: object, problem: str
) -> None:
    with pytest.raises(Unsupported, match=problem) as raised:
        await adapter.chat_completion(request(said, tool_choice=choice))
    partial = msgspec.convert(raised.value.data["partial"], ChatCompletion)
    assert partial.choices[0].finish_reason in {"stop", "tool_calls"}


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "function", "function": {"name": "add"}},
        {"type": "allowed_tools", "allowed_tools": {
            "mode": "required", "tools": [{"type": "function", "function": {"name": "add"}}]}},
    ],
)  # fmt: skip
async def test_a_forced_call_is_forced_once(adapter: OpenAIAdapter, choice: object) -> None:
    completion = await adapter.chat_completion_with_tools(
        request(f"{ADD}\nthen done", tool_choice=choice), run_tool
    )
    assert completion.choices[0].message.content == "done"


async def test_a_tool_that_is_not_allowed_is_not_run(adapter: OpenAIAdapter) -> None:
    allowed = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "add"}}]}
    completion = await adapter.chat_completion_with_tools(
        request(WAIT, tool_choice={"type": "allowed_tools", "allowed_tools": allowed}), run_tool
    )
    assert completion.choices[0].message.content == (
        "Error: the function wait may not be called now; these may be called: add"
    )


@pytest.mark.parametrize(
    ("fields", "error", "names"),
    [
        ({"tools": None, "tool_choice": "auto"}, InvalidParams, "params.tool_choice is given, but"),
        ({"tools": [], "parallel_tool_calls": True}, InvalidParams, "params.parallel_tool_calls is given"),
        ({"tools": [], "tool_execution": "host"}, InvalidParams, "params.tool_execution is given"),
        ({"tools": [tool("a"), tool("a")]}, InvalidParams, "params.tools[1].function.name is 'a' a second"),
        ({"tools": [tool("a", strict=True)]}, Unsupported, "params.tools[0].function.strict is true"),
        (
            {"tool_choice": {"type": "function", "function": {"name": "sub"}}},
            InvalidParams,
            "params.tool_choice.function.name is 'sub'",
        ),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
            InvalidParams,
            "params.tool_choice.allowed_tools.tools is empty",
        ),
        ({"max_tool_rounds": 0}, InvalidParams, "params.max_tool_rounds is 0"),
        ({"max_tool_result_characters": 0}, InvalidParams, "params.max_tool_result_characters is 0"),
        ({"tool_execution": "host", "n": 2}, InvalidParams, "params.n must be 1"),
        ({"tool_execution": "host"}, Unsupported, "did not declare host.call_tool"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "x", "content": "3"}]},
            InvalidParams,
            "params.messages[0].tool_call_id is 'x', the id of no call before it",
        ),
        (
            {"messages": [{"role": "assistant"}]},
            InvalidParams,
            "params.messages[0] has neither content nor tool_calls",
        ),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    adapter: OpenAIAdapter, fields: dict[str, object], error: type[Exception], names: str
) -> None:
    with pytest.raises(error) as raised:
        await adapter.chat_completion(request("hello", **fields))
    assert names in str(raised.value)
