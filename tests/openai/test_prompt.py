"""Which turns are dropped when a conversation does not fit, and that nothing else ever is."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ContextOverflow, InvalidParams, Unsupported
from sidecar.openai.prompt import TemplateMessage, fit_prompt, to_template_messages
from sidecar_protocol.chat import ChatCreate

CONTEXT = 100


def encode(messages: Sequence[TemplateMessage]) -> list[int]:
    """One token for each word, and one for each message."""
    return [1 for message in messages for _ in ["role", *str(message["content"]).split()]]


def chat(*messages: tuple[str, int], **fields: object) -> ChatCreate:
    """A request whose messages have a role and a length in tokens."""
    turns = [{"role": role, "content": "word " * (length - 1)} for role, length in messages]
    return msgspec.convert({"messages": turns, **fields}, ChatCreate)


def test_a_conversation_that_fits_is_whole() -> None:
    prompt = fit_prompt(chat(("system", 10), ("user", 20)), CONTEXT, None, encode)
    assert len(prompt.token_ids) == 30
    assert (prompt.dropped_messages, prompt.dropped_tokens) == (0, 0)


def test_the_oldest_turn_goes_with_its_answer_and_the_system_message_stays() -> None:
    request = chat(
        ("system", 10), ("user", 30), ("assistant", 30), ("user", 30), ("assistant", 5), ("user", 5)
    )
    prompt = fit_prompt(request, CONTEXT, None, encode)
    assert prompt.dropped_messages == 2
    assert prompt.dropped_tokens == 60
    assert len(prompt.token_ids) == 50


def test_room_for_the_answer_counts() -> None:
    request = chat(("user", 40), ("assistant", 20), ("user", 20))
    assert fit_prompt(request, CONTEXT, 20, encode).dropped_messages == 0
    assert fit_prompt(request, CONTEXT, 21, encode).dropped_messages == 2


def test_the_last_turn_is_never_dropped() -> None:
    with pytest.raises(ContextOverflow, match="120 tokens") as raised:
        fit_prompt(chat(("user", 120)), CONTEXT, None, encode)
    assert raised.value.data["context_length"] == CONTEXT
    with pytest.raises(ContextOverflow, match="even without the 2 oldest messages"):
        fit_prompt(chat(("user", 10), ("assistant", 10), ("user", 120)), CONTEXT, None, encode)


def test_overflow_error_drops_nothing() -> None:
    request = chat(("user", 60), ("assistant", 30), ("user", 30), overflow="error")
    with pytest.raises(ContextOverflow):
        fit_prompt(request, CONTEXT, None, encode)


def test_a_prompt_shorter_than_the_context_by_one_token_is_taken_by_overflow_error() -> None:
    request = chat(("user", 99), overflow="error")
    assert len(fit_prompt(request, CONTEXT, None, encode).token_ids) == 99


@given(
    lengths=st.lists(
        st.tuples(st.sampled_from(["system", "user", "assistant"]), st.integers(1, 60)), min_size=1
    ),
    max_tokens=st.none() | st.integers(1, 200),
)
def test_what_is_kept_fits_and_every_system_message_is_kept(
    lengths: list[tuple[str, int]], max_tokens: int | None
) -> None:
    request = chat(*lengths)
    try:
        prompt = fit_prompt(request, CONTEXT, max_tokens, encode)
    except ContextOverflow:
        return
    assert len(prompt.token_ids) < CONTEXT
    assert len(prompt.token_ids) + prompt.dropped_tokens == sum(length for _, length in lengths)
    assert len(prompt.token_ids) >= sum(length for role, length in lengths if role == "system")


def test_parts_are_joined_and_developer_is_system() -> None:
    request = msgspec.convert(
        {
            "messages": [
                {"role": "developer", "content": "be brief"},
                {
                    "role": "user",
                    "name": "ada",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                },
            ]
        },
        ChatCreate,
    )
    assert to_template_messages(request.messages) == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "ab", "name": "ada"},
    ]


def test_pictures_and_no_messages_are_refused_by_place() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    request = msgspec.convert({"messages": [{"role": "user", "content": [picture]}]}, ChatCreate)
    with pytest.raises(Unsupported, match=r"messages\[0\]\.content\[0\]"):
        to_template_messages(request.messages)
    with pytest.raises(InvalidParams, match="at least one"):
        to_template_messages([])
