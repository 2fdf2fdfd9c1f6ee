"""A newer engine's variants: kept where they are, and never in the way of what is known."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar_client.calls import event_reader, result_reader
from sidecar_client.errors import InvalidMessage
from sidecar_client.reading import UnknownVariant, read
from sidecar_protocol.mcp_types import McpPromptMessage
from sidecar_protocol.models import ModelStatus
from sidecar_protocol.responses_answer import Response
from sidecar_protocol.responses_items import McpCall, OutputMessage, OutputText

NEW_ITEM = {"type": "hologram", "id": "h_1", "depth": 3}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1.5,
    "status": "completed",
    "model": "m",
    "output": [MESSAGE],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}


@settings(deadline=None)
@given(st.lists(st.sampled_from([MESSAGE, NEW_ITEM, {"type": "smell"}]), max_size=6))
def test_unknown_items_stay_plain_and_in_their_places(items: list[dict[str, object]]) -> None:
    answer = read({**RESPONSE, "output": items}, Response)
    assert msgspec.to_builtins(answer)["output"] == items
    for item, plain in zip(answer.output, items, strict=True):
        assert isinstance(item, OutputMessage if plain is MESSAGE else dict)


def test_the_plain_objects_are_not_changed() -> None:
    plain = {**RESPONSE, "output": [NEW_ITEM, {**MESSAGE, "content": [{"type": "smell"}]}]}
    answer = read(plain, Response)
    assert plain["output"][0] is NEW_ITEM
    assert isinstance(answer.output[1], OutputMessage)
    assert answer.output[1].content == [{"type": "smell"}]


def test_an_unknown_part_deep_inside() -> None:
    content = [{"type": "output_text", "text": "Hi", "annotations": [{"type": "smell"}]}]
    answer = read({**RESPONSE, "output": [{**MESSAGE, "content": content}]}, Response)
    message = answer.output[0]
    assert isinstance(message, OutputMessage)
    text = message.content[0]
    assert isinstance(text, OutputText)
    assert text.annotations == [{"type": "smell"}]


def test_an_unknown_part_that_may_be_missing() -> None:
    plain = {"id": "m", "server_label": "a", "name": "b", "arguments": "{}", "error": {"type": "new"}}
    call = read({"type": "mcp_call", **plain}, McpCall)
    assert call.error == {"type": "new"}


def test_an_unknown_part_that_may_not_be_missing() -> None:
    with pytest.raises(UnknownVariant, match="content"):
        read({"role": "user", "content": {"type": "smell"}}, McpPromptMessage)
    with pytest.raises(msgspec.ValidationError, match="role") as caught:
        read({"role": "ghost", "content": {"type": "text", "text": "x"}}, McpPromptMessage)
    assert not isinstance(caught.value, UnknownVariant)


def test_what_is_wrong_in_another_way_is_still_refused() -> None:
    with pytest.raises(InvalidMessage, match=r"result of models.load has another shape"):
        result_reader("models.load", ModelStatus)({"name": 1})
    with pytest.raises(msgspec.ValidationError, match="id"):
        read({**RESPONSE, "output": [NEW_ITEM], "id": 1}, Response)


def test_events_about_unknown_items_are_skipped_like_unknown_events() -> None:
    read_event = event_reader("responses.create")
    event = {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0}
    assert read_event({**event, "item": MESSAGE}).item.id == "msg_1"
    assert read_event({**event, "item": NEW_ITEM}) is None
    assert read_event({"type": "response.hologram.added"}) is None
    created = {"type": "response.created", "sequence_number": 0}
    assert read_event({**created, "response": {**RESPONSE, "output": [NEW_ITEM]}}).response.output == [
        NEW_ITEM
    ]
    with pytest.raises(InvalidMessage, match="another shape"):
        read_event({**created, "response": {"id": 1}})
