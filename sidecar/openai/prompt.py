"""A conversation as prompt tokens: rendered by the model's template, shortened by whole turns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sidecar.errors import ContextOverflow, InvalidParams, Unsupported
from sidecar_protocol.chat import ChatCreate
from sidecar_protocol.chat_messages import AssistantMessage, ChatMessage, ImagePart, RefusalPart, ToolMessage

MAX_ANSWER_RESERVE = 256
"""Tokens kept free for an answer whose length the caller left open, at most a quarter of the context."""

TemplateMessage = dict[str, object]
CountingEncoder = Callable[[Sequence[TemplateMessage]], list[int]]


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """Prompt tokens, and what an overflow policy left out."""

    token_ids: tuple[int, ...]
    dropped_messages: int = 0
    dropped_tokens: int = 0


def to_template_messages(messages: Sequence[ChatMessage]) -> list[TemplateMessage]:
    """Messages as chat templates read them. Raises InvalidParams without any, Unsupported for pictures."""
    if not messages:
        raise InvalidParams(
            "params.messages is empty; it needs at least one message", parameter="params.messages"
        )
    return [_template_message(message, index) for index, message in enumerate(messages)]


def fit_prompt(
    request: ChatCreate, context_length: int, max_tokens: int | None, encode: CountingEncoder
) -> ChatPrompt:
    """Encode the conversation so that an answer fits behind it.

    With overflow "drop_turns" whole turns are dropped, oldest first: a turn is a
    user message with all that follows up to the next one. System messages and
    the last turn always stay. Raises ContextOverflow when that is not enough,
    or at once with overflow "error".
    """
    messages = to_template_messages(request.messages)
    whole = encode(messages)
    reserve = min(max_tokens or MAX_ANSWER_RESERVE, context_length // 4)
    limit = context_length - (reserve if request.overflow == "drop_turns" else 1)
    if len(whole) <= limit:
        return ChatPrompt(tuple(whole))
    turns = _turns(messages)
    if request.overflow == "error" or len(turns) < 2:
        if len(whole) < context_length:
            return ChatPrompt(tuple(whole))
        raise _overflow(len(whole), context_length)
    dropped = _fewest_dropped(messages, turns, limit, encode)
    kept = _without(messages, turns[:dropped])
    token_ids = encode(kept)
    if len(token_ids) >= context_length:
        raise _overflow(len(token_ids), context_length, dropped=len(messages) - len(kept))
    return ChatPrompt(tuple(token_ids), len(messages) - len(kept), len(whole) - len(token_ids))


def _template_message(message: ChatMessage, index: int) -> TemplateMessage:
    role = type(message).__struct_config__.tag
    if isinstance(message, ToolMessage) or (isinstance(message, AssistantMessage) and message.tool_calls):
        raise Unsupported(
            f"params.messages[{index}] is part of a tool call; the engine does not have the capability 'tools'",
            data={"capability": "tools"},
        )
    content = message.content
    if isinstance(message, AssistantMessage) and content is None:
        content = message.refusal
    if content is None:
        raise InvalidParams(
            f"params.messages[{index}] has neither content nor tool_calls nor a refusal",
            parameter=f"params.messages[{index}].content",
        )
    if not isinstance(content, str):
        texts: list[str] = []
        for part_index, part in enumerate(content):
            if isinstance(part, ImagePart):
                raise Unsupported(
                    f"params.messages[{index}].content[{part_index}] is a picture; the model reads text alone"
                )
            texts.append(part.refusal if isinstance(part, RefusalPart) else part.text)
        content = "".join(texts)
    rendered: TemplateMessage = {"role": "system" if role == "developer" else role, "content": content}
    if message.name is not None:
        rendered["name"] = message.name
    return rendered


def _turns(messages: Sequence[TemplateMessage]) -> list[list[int]]:
    """Indexes of each turn's messages, oldest first; system messages belong to none."""
    turns: list[list[int]] = []
    for index, message in enumerate(messages):
        if message["role"] == "system":
            continue
        if message["role"] == "user" or not turns:
            turns.append([])
        turns[-1].append(index)
    return turns


def _without(messages: Sequence[TemplateMessage], turns: Sequence[Sequence[int]]) -> list[TemplateMessage]:
    gone = {index for turn in turns for index in turn}
    return [message for index, message in enumerate(messages) if index not in gone]


def _fewest_dropped(
    messages: Sequence[TemplateMessage], turns: Sequence[Sequence[int]], limit: int, encode: CountingEncoder
) -> int:
    """How many of the oldest turns must go, by bisection: fewer turns never make a longer prompt."""
    low, high = 1, len(turns) - 1
    while low < high:
        middle = (low + high) // 2
        if len(encode(_without(messages, turns[:middle]))) <= limit:
            high = middle
        else:
            low = middle + 1
    return low


def _overflow(prompt_tokens: int, context_length: int, *, dropped: int = 0) -> ContextOverflow:
    after = f" even without the {dropped} oldest messages" if dropped else ""
    return ContextOverflow(
        f"params.messages are {prompt_tokens} tokens{after}; "
        f"the context holds {context_length}, the answer included",
        data={
            "prompt_tokens": prompt_tokens,
            "context_length": context_length,
            "parameter": "params.messages",
        },
    )
