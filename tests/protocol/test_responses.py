"""Responses as OpenAI documents them: what its clients send is accepted, what is answered has its form."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar_protocol.codec import decode, encode_body
from sidecar_protocol.responses import ResponsesCreate
from sidecar_protocol.responses_answer import (
    InputTokensDetails,
    OutputTokensDetails,
    Response,
    ResponseUsage,
)
from sidecar_protocol.responses_events import (
    FunctionCallArgumentsDeltaEvent,
    OutputTextDeltaEvent,
    ReasoningSummaryTextDeltaEvent,
    ResponseCreatedEvent,
)
from sidecar_protocol.responses_items import (
    FunctionCall,
    InputMessage,
    ItemReference,
    McpCall,
    McpToolExecutionError,
    OutputLogprob,
    OutputMessage,
    OutputText,
    Reasoning,
    SummaryText,
    normalise_field,
    normalise_items,
)

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a place.",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    "strict": True,
}
MCP = {
    "type": "mcp",
    "server_label": "dice",
    "server_url": "https://dice.example/mcp",
    "authorization": "token",
    "headers": {"x-team": "a"},
    "allowed_tools": {"tool_names": ["roll"], "read_only": True},
    "require_approval": {"never": {"tool_names": ["roll"]}},
}
REQUESTS: dict[str, dict[str, Any]] = {
    "a text": {"model": "m", "input": "Tell me a story."},
    "messages without a type": {
        "input": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"role": "assistant", "content": "Hello!"},
        ],
        "instructions": "You are a poet.",
        "temperature": 1,
        "max_output_tokens": 20,
    },
    "a picture": {
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
                ],
            }
        ]
    },
    "a function's answer": {
        "previous_response_id": "resp_1",
        "input": [{"type": "function_call_output", "call_id": "call_1", "output": '{"degrees": 20}'}],
        "tools": [WEATHER],
        "tool_choice": {"type": "function", "name": "get_weather"},
        "parallel_tool_calls": False,
    },
    "an approval": {
        "previous_response_id": "resp_1",
        "input": [{"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}],
        "tools": [MCP, {"type": "mcp", "server_label": "a", "require_approval": "never"}],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "mcp", "server_label": "a"}],
        },
    },
    "structured text": {
        "input": "x",
        "text": {
            "format": {"type": "json_schema", "name": "event", "strict": True, "schema": {"type": "object"}},
            "verbosity": "low",
        },
        "reasoning": {"effort": "low", "summary": "auto"},
        "truncation": "auto",
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs", "what.comes.later"],
        "top_logprobs": 5,
        "metadata": {"topic": "demo"},
        "store": False,
    },
    "a background run in a conversation": {
        "input": [{"id": "msg_1"}],
        "conversation": {"id": "conv_1"},
        "background": True,
        "stream": True,
    },
}


def create(params: dict[str, Any]) -> ResponsesCreate:
    return msgspec.convert(normalise_field(params, "input"), ResponsesCreate)


def response(output: list[Any], **more: Any) -> Response:
    return Response(
        id="resp_1",
        object="response",
        created_at=1.0,
        status="completed",
        model="m",
        output=output,
        parallel_tool_calls=True,
        tool_choice="auto",
        tools=[],
        **more,
    )


OUTPUT = [
    Reasoning(id="rs_1", summary=[SummaryText(text="Thought.")], status="completed"),
    OutputMessage(
        id="msg_1",
        role="assistant",
        status="completed",
        content=[OutputText(text="Hi", annotations=[])],
    ),
    FunctionCall(id="fc_1", call_id="call_1", name="get_weather", arguments="{}", status="completed"),
    McpCall(
        id="mcp_1",
        server_label="dice",
        name="roll",
        arguments="{}",
        error=McpToolExecutionError(content=[{"type": "text", "text": "no"}]),
        status="failed",
    ),
]


@pytest.mark.parametrize("params", REQUESTS.values(), ids=REQUESTS)
def test_requests_of_openais_documentation_are_accepted(params: dict[str, Any]) -> None:
    assert isinstance(create(params), ResponsesCreate)


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"input": "x", "top_logprobs": 21}, "top_logprobs"),
        ({"input": "x", "tools": [{"type": "web_search"}]}, "tools"),
        ({"input": "x", "tools": [{**WEATHER, "name": "not a name"}]}, "name"),
        ({"input": "x", "tool_choice": "sometimes"}, "tool_choice"),
        ({"input": "x", "metadata": {"k": "v" * 513}}, "metadata"),
        ({"input": "x", "metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"input": "x", "truncation": "middle"}, "truncation"),
        ({"input": [{"type": "function_call", "name": "a", "arguments": "{}"}]}, "call_id"),
        ({"input": {"role": "user"}}, "input"),
    ],
)
def test_what_is_out_of_form_is_refused_and_says_where(params: dict[str, Any], where: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=where):
        create(params)


def test_the_type_of_a_message_and_of_a_reference_may_be_left_out() -> None:
    request = create({"input": [{"role": "user", "content": "Hi"}, {"id": "msg_1"}]})
    assert request.input == [InputMessage(role="user", content="Hi"), ItemReference(id="msg_1")]


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
@settings(deadline=None)
def test_normalising_changes_nothing_but_adds_types(plain: object) -> None:
    normalised = normalise_items(plain)
    if isinstance(plain, list):
        assert isinstance(normalised, list)
        for before, after in zip(plain, normalised, strict=True):
            assert before == after or after == {**before, "type": after["type"]}
    else:
        assert normalised is plain
    assert normalise_field(plain, "input") == plain or isinstance(plain, dict)


def test_an_answer_has_openais_form() -> None:
    usage = ResponseUsage(
        input_tokens=3,
        input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
        output_tokens=2,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=1),
        total_tokens=5,
    )
    plain = decode(encode_body(response(OUTPUT, usage=usage)))
    assert isinstance(plain, dict)
    assert plain["object"] == "response"
    assert plain["output"][0] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Thought."}],
        "status": "completed",
    }
    assert plain["output"][1]["content"] == [{"type": "output_text", "text": "Hi", "annotations": []}]
    assert plain["output"][3]["error"]["type"] == "mcp_tool_execution_error"
    assert msgspec.convert(plain, Response) == response(OUTPUT, usage=usage)


def test_what_was_answered_can_be_sent_back_as_it_is() -> None:
    answered = msgspec.to_builtins(response(OUTPUT))["output"]
    request = create({"input": [{"role": "user", "content": "Hi"}, *answered]})
    assert msgspec.to_builtins(request.input)[1:] == answered


def test_events_have_openais_names_and_fields() -> None:
    created = msgspec.to_builtins(ResponseCreatedEvent(sequence_number=0, response=response([])))
    assert created["type"] == "response.created"
    assert set(created) == {"type", "sequence_number", "response"}
    delta = msgspec.to_builtins(text_delta("a", 1))
    assert delta == {
        "type": "response.output_text.delta",
        "sequence_number": 1,
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "delta": "a",
        "logprobs": [{"token": "a", "logprob": -1.0, "bytes": [], "top_logprobs": []}],
    }


def text_delta(text: str, number: int, *, item: str = "msg_1", part: int = 0) -> OutputTextDeltaEvent:
    return OutputTextDeltaEvent(
        sequence_number=number,
        item_id=item,
        output_index=0,
        content_index=part,
        delta=text,
        logprobs=[OutputLogprob(token=text, logprob=-1.0, bytes=[], top_logprobs=[])],
    )


@settings(deadline=None)
@given(st.lists(st.text(max_size=4), min_size=1, max_size=8))
def test_text_deltas_join_to_one_with_all_text_and_the_last_number(texts: list[str]) -> None:
    joined = text_delta(texts[0], 0)
    for number, text in enumerate(texts[1:], start=1):
        longer = joined.joined_with(text_delta(text, number))
        assert longer is not None
        joined = longer
    assert joined.delta == "".join(texts)
    assert [item.token for item in joined.logprobs] == texts
    assert joined.sequence_number == len(texts) - 1


def test_deltas_of_other_places_are_not_joined() -> None:
    assert text_delta("a", 0).joined_with(text_delta("b", 1, item="msg_2")) is None
    assert text_delta("a", 0).joined_with(text_delta("b", 1, part=1)) is None

    def call(output_index: int) -> FunctionCallArgumentsDeltaEvent:
        return FunctionCallArgumentsDeltaEvent(
            sequence_number=0, item_id="fc_1", output_index=output_index, delta="{"
        )

    assert call(0).joined_with(call(1)) is None
    joined = call(1).joined_with(call(1))
    assert joined is not None
    assert joined.delta == "{{"

    def summary(index: int) -> ReasoningSummaryTextDeltaEvent:
        return ReasoningSummaryTextDeltaEvent(
            sequence_number=0, item_id="rs_1", output_index=0, summary_index=index, delta="a"
        )

    assert summary(0).joined_with(summary(1)) is None
