"""Tools in prompts: in the template's own way where it has one, else in words that lose nothing."""

import json

import msgspec
import pytest

from sidecar.errors import InvalidParams
from sidecar.executors.scripted import CHAT_TEMPLATE
from sidecar.openai.prompt import to_template_messages
from sidecar.openai.tool_choice import tool_offer
from sidecar.openai.tool_prompt import PromptWriter
from sidecar.text.chat_template import ChatTemplate
from sidecar_protocol.chat import ChatCreate
from tests.text.templates import LLAMA3, MISTRAL, QWEN

USER = {"role": "user", "content": "Weather?"}
CALL = {"id": "a1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Łódź"}'}}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "It's <there> & 'then', °C",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CONVERSATION = [
    USER,
    {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "a2"}]},
    {"role": "tool", "tool_call_id": "a1", "content": "3 °C"},
    {
        "role": "tool",
        "tool_call_id": "a2",
        "content": [{"type": "text", "text": "4 "}, {"type": "text", "text": "°C"}],
    },
]
NO_SYSTEM = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "<{{ message.role }}>{{ message.content }}{% endfor %}"
)


def prompt(template: str, *messages: object, **fields: object) -> str:
    request = msgspec.convert({"messages": messages, **fields}, ChatCreate)
    writer = PromptWriter(ChatTemplate(template, bos_token="<s>", eos_token="</s>"))
    pieces = writer.render(
        to_template_messages(request.messages), tool_offer(request), {"date_string": "today"}
    )
    return "".join(piece.text for piece in pieces)


@pytest.mark.parametrize("template", [QWEN])
def test_a_template_that_knows_tools_writes_them_itself(template: str) -> None:
    written = prompt(template, *CONVERSATION, tools=[TOOL])
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": "Łódź"}}\n</tool_call>' in written
    assert "<tool_response>\n3 °C\n</tool_response>" in written
    assert written.count("# Tools") == 1
    expected = ChatTemplate(template).render(
        [
            USER,
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"type": "function", "function": {"name": "weather", "arguments": {"city": "Łódź"}}}
                ] * 2,
            },
            {"role": "tool", "content": "3 °C"},
            {"role": "tool", "content": "4 °C"},
        ],
        tools=[TOOL],
    )  # fmt: skip
    assert written == "".join(piece.text for piece in expected)


def test_a_template_that_refuses_several_calls_gets_them_in_words() -> None:
    single = [USER, {"role": "assistant", "tool_calls": [CALL]}, CONVERSATION[2]]
    written = prompt(LLAMA3, *single, tools=[TOOL])
    assert "<|start_header_id|>ipython<|end_header_id|>" in written
    assert '"parameters": {"city": "Łódź"}' in written
    several = prompt(LLAMA3, *CONVERSATION, tools=[TOOL])
    assert several.count('<tool_call>\n{"name": "weather"') == 2
    assert "# Tools" in several
    with pytest.raises(InvalidParams, match="single tool-calls"):
        prompt(
            LLAMA3.replace("bos_token", "bos_token + messages[2].tool_call_id"), *CONVERSATION, tools=[TOOL]
        )


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, MISTRAL])
def test_without_the_templates_help_tools_calls_and_results_are_put_in_words(template: str) -> None:
    written = prompt(template, *CONVERSATION, tools=[TOOL])
    offered = written.partition("<tools>\n")[2].partition("\n</tools>")[0]
    assert json.loads(offered) == TOOL
    assert written.count('<tool_call>\n{"name": "weather", "arguments": {"city": "Łódź"}}\n</tool_call>') == 2
    assert "<tool_response>\n3 °C\n</tool_response>\n<tool_response>\n4 °C\n</tool_response>" in written


def test_calls_in_a_conversation_are_shown_when_no_tool_is_offered_any_more() -> None:
    written = prompt(CHAT_TEMPLATE, *CONVERSATION)
    assert "# Tools" not in written
    assert written.count("<tool_call>") == written.count("<tool_response>") == 2


def test_arguments_that_are_no_object_stay_as_the_model_wrote_them() -> None:
    broken = {**CALL, "function": {"name": "weather", "arguments": "{city"}}
    written = prompt(CHAT_TEMPLATE, USER, {"role": "assistant", "content": "Hm.", "tool_calls": [broken]})
    assert 'Hm.\n<tool_call>\n{"name": "weather", "arguments": "{city"}\n</tool_call>' in written


def test_the_offer_joins_the_system_message_or_the_first_one_where_there_is_none() -> None:
    joined = prompt(CHAT_TEMPLATE, {"role": "system", "content": "Be brief."}, USER, tools=[TOOL])
    assert joined.startswith("<|im_start|>system\nBe brief.\n\n# Tools\n")
    assert prompt(CHAT_TEMPLATE, USER, tools=[TOOL]).startswith("<|im_start|>system\n# Tools\n")
    assert prompt(NO_SYSTEM, USER, tools=[TOOL]).startswith("<user>Weather?\n\n# Tools\n")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"tool_choice": "required"}, "You must answer with a function call."),
        (
            {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
            "You must answer with a call of the function weather.",
        ),
        ({"parallel_tool_calls": False}, "Call one function at a time."),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {
                "mode": "auto", "tools": [{"type": "function", "function": {"name": "weather"}}]}}},
            "Call none but these functions: weather.",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("template", [CHAT_TEMPLATE, QWEN])
def test_what_the_request_asks_of_the_model_is_said(
    template: str, fields: dict[str, object], sentence: str
) -> None:
    other = {"type": "function", "function": {"name": "other"}}
    plain = {"type": "function", "function": {"name": "weather"}}
    with_choice = prompt(template, USER, tools=[plain, other], **fields)
    assert sentence in with_choice
    assert sentence not in prompt(template, USER, tools=[plain, other])
    assert ('"other"' in with_choice) == ("function weather." not in sentence)


def test_a_tool_without_parameters_has_an_empty_object_of_them() -> None:
    written = prompt(CHAT_TEMPLATE, USER, tools=[{"type": "function", "function": {"name": "now"}}])
    assert '"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}' in written
