"""An answer being written, at any time."""

from functools import partial

from sidecar.openai.answer import Answer
from sidecar.openai.toolcalls.json_calls import JsonToolCallParser

CALL = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'


def answer(*, several: bool = True) -> Answer:
    made = Answer()
    made.read_calls(partial(JsonToolCallParser, ["add"]), several=several)
    return made


def test_what_may_become_a_call_is_text_until_it_is_one() -> None:
    made = answer()
    assert made.take(f"Hm.\n{CALL[:-20]}", ends=False)[0].content == "Hm."
    assert made.message().content == f"Hm.\n{CALL[:-20]}"
    assert made.message().tool_calls is None
    made.take(CALL[-20:], ends=False)
    message = made.message()
    assert message.content == "Hm."
    (call,) = message.tool_calls or ()
    made.take("", ends=True)
    assert made.message() == message
    assert made.message().tool_calls == [call]


def test_behind_the_one_call_nothing_counts() -> None:
    made = answer(several=False)
    (delta,) = made.take(f"{CALL} and more {CALL}", ends=False)
    assert delta.tool_calls is not None
    assert made.is_over
    assert made.stopped_at_call
    assert made.message().content is None
    assert len(made.message().tool_calls or ()) == 1


def test_without_a_parser_everything_is_text() -> None:
    made = Answer()
    assert [delta.content for delta in made.take(CALL, ends=True)] == [CALL]
    assert made.message().content == CALL
    assert made.is_over
    assert not made.stopped_at_call
