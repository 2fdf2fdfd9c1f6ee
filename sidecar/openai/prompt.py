"""A conversation as prompt tokens: rendered by the model's template, shortened by whole turns."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.errors import ContextOverflow, InvalidParams, Unsupported
from sidecar.openai.tool_prompt import TemplateMessage
from sidecar_protocol.chat import ChatCreate
from sidecar_protocol.chat_messages import (
    AssistantContent,
    AssistantMessage,
    ChatMessage,
    ChatToolCall,
    DeveloperMessage,
    ImagePart,
    MessageContent,
    RefusalPart,
    SystemMessage,
    ToolContent,
    ToolMessage,
    UserMessage,
)

MAX_ANSWER_RESERVE = 256
"""Tokens kept free for an answer whose length the caller left open, at most a quarter of the context."""

CountingEncoder = Callable[[Sequence[TemplateMessage]], list[int]]


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """Prompt tokens, and what an overflow policy left out."""

    token_ids: tuple[int, ...]
    dropped_messages: int = 0
    dropped_tokens: int = 0


def to_template_messages(messages: Sequence[ChatMessage]) -> list[TemplateMessage]:
    """Messages as chat templates read them.

    Raises InvalidParams without any and for a tool message that answers no
    call, Unsupported for pictures.
    """
    if not messages:
        raise InvalidParams(
            "params.messages is empty; it needs at least one message", parameter="params.messages"
        )
    called: dict[str, str] = {}
    rendered = []
    for index, message in enumerate(messages):
        where = f"params.messages[{index}]"
        if isinstance(message, ToolMessage):
            rendered.append(_tool_message(message, called, where))
            continue
        rendered.append(_template_message(message, where))
        if isinstance(message, AssistantMessage):
            called |= {call.id: call.function.name for call in message.tool_calls or ()}
    return rendered


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


def _template_message(
    message: SystemMessage | DeveloperMessage | UserMessage | AssistantMessage, where: str
) -> TemplateMessage:
    role = type(message).__struct_config__.tag
    content: MessageContent | AssistantContent | None = message.content
    calls: list[ChatToolCall] = []
    if isinstance(message, AssistantMessage):
        calls = message.tool_calls or []
        if content is None:
            content = message.refusal if message.refusal is not None or not calls else ""
    if content is None:
        raise InvalidParams(
            f"{where} has neither content nor tool_calls nor a refusal", parameter=f"{where}.content"
        )
    rendered: TemplateMessage = {
        "role": "system" if role == "developer" else role,
        "content": _text(content, where),
    }
    if message.name is not None:
        rendered["name"] = message.name
    if calls:
        rendered["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": _arguments(call.function.arguments)},
            }
            for call in calls
        ]
    return rendered


def _tool_message(message: ToolMessage, called: Mapping[str, str], where: str) -> TemplateMessage:
    name = called.get(message.tool_call_id)
    if name is None:
        raise InvalidParams(
            f"{where}.tool_call_id is {message.tool_call_id[:100]!r}, the id of no call before it",
            parameter=f"{where}.tool_call_id",
        )
    return {
        "role": "tool",
        "content": _text(message.content, where),
        "tool_call_id": message.tool_call_id,
        "name": name,
    }


def _text(content: MessageContent | AssistantContent | ToolContent, where: str) -> str:
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for index, part in enumerate(content):
        if isinstance(part, ImagePart):
            raise Unsupported(f"{where}.content[{index}] is a picture; the model reads text alone")
        texts.append(part.refusal if isinstance(part, RefusalPart) else part.text)
    return "".join(texts)


def _arguments(text: str) -> object:
    """Arguments as templates want them: an object, or the text where the model wrote none.

    An escape may stand for half a character, which no prompt can hold: then it stays an escape.
    """
    try:
        arguments = json.loads(text)
        json.dumps(arguments, ensure_ascii=False).encode()
    except ValueError:
        return text
    return arguments if isinstance(arguments, dict) else text


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
