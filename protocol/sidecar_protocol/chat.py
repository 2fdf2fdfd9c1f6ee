"""chat.*: OpenAI chat completions."""

from typing import ClassVar, Literal, Self

import msgspec

from sidecar_protocol.base import Coalesce, Event, Result
from sidecar_protocol.common import (
    LoadingEvent,
    OverflowEvent,
    PrefillEvent,
    QueuedEvent,
    SamplingParams,
    Timings,
    Usage,
)
from sidecar_protocol.registry import method

ChatFinishReason = Literal["stop", "length"]
ChatOverflow = Literal["drop_turns", "error"]


class TextPart(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """A piece of text content."""

    text: str


class ImagePart(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="image_url"):
    """A picture; text models answer `unsupported`."""

    image_url: dict[str, str]


ContentPart = TextPart | ImagePart


class _Message(
    msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="role"
):
    """One turn, told from others by `role`."""

    name: str | None = None


class SystemMessage(_Message, tag="system"):
    """How the model should behave."""

    content: str | list[ContentPart]


class DeveloperMessage(_Message, tag="developer"):
    """The same as a system message, in OpenAI's newer word."""

    content: str | list[ContentPart]


class UserMessage(_Message, tag="user"):
    """What a person said."""

    content: str | list[ContentPart]


class AssistantMessage(_Message, tag="assistant"):
    """What the model said earlier."""

    content: str | list[ContentPart]


ChatMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage


class StreamOptions(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a stream holds besides text."""

    include_usage: bool = False
    """A last chunk without choices that carries `usage`."""


class ChatLogprob(Result):
    """One token and the natural logarithm of its probability."""

    token: str
    logprob: float
    bytes: list[int]


class ChatTokenLogprobs(ChatLogprob):
    """A chosen token, and the likeliest ones at its place."""

    top_logprobs: list[ChatLogprob]


class ChatLogprobs(Result):
    """Log probabilities of a choice's tokens."""

    content: list[ChatTokenLogprobs]


class AssistantReply(Result):
    """The model's message."""

    role: Literal["assistant"]
    content: str


class ChatChoice(Result):
    """One finished choice."""

    index: int
    message: AssistantReply
    finish_reason: ChatFinishReason | None = None
    """None in the partial output of a request that was ended from outside."""
    logprobs: ChatLogprobs | None = None


class Overflow(Result):
    """What an overflow policy left out of the prompt."""

    dropped_messages: int
    dropped_tokens: int


class ChatCompletion(Result):
    """A whole chat completion."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    timings: Timings
    overflow: Overflow | None = None


class ChatDelta(Result):
    """What a chunk adds to a message; `role` is in the first one."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(Result):
    """What a chunk adds to a choice."""

    index: int
    delta: ChatDelta
    finish_reason: ChatFinishReason | None = None
    logprobs: ChatLogprobs | None = None


class ChatCompletionChunk(Result):
    """A piece of a chat completion; one choice, or none and `usage`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


class ChatChunkEvent(Event, tag="chunk"):
    """Text, as OpenAI's chunk."""

    coalesce: ClassVar[Coalesce] = Coalesce.CONCAT

    chunk: ChatCompletionChunk

    def joined_with(self, later: Self) -> Self | None:
        """Both texts as one chunk, when they continue the same choice."""
        first, second = self.chunk.choices, later.chunk.choices
        if len(first) != 1 or len(second) != 1 or first[0].index != second[0].index:
            return None
        if (
            self.chunk.usage is not None
            or later.chunk.usage is not None
            or first[0].finish_reason is not None
        ):
            return None
        logprobs = [
            choice.logprobs.content for choice in (first[0], second[0]) if choice.logprobs is not None
        ]
        texts = [choice.delta.content for choice in (first[0], second[0]) if choice.delta.content is not None]
        choice = ChunkChoice(
            index=first[0].index,
            delta=ChatDelta(role=first[0].delta.role, content="".join(texts) if texts else None),
            finish_reason=second[0].finish_reason,
            logprobs=ChatLogprobs(content=[token for tokens in logprobs for token in tokens])
            if logprobs
            else None,
        )
        return msgspec.structs.replace(self, chunk=msgspec.structs.replace(self.chunk, choices=[choice]))


@method(
    "chat.create",
    result=ChatCompletion,
    events=(QueuedEvent, LoadingEvent, PrefillEvent, OverflowEvent, ChatChunkEvent),
)
class ChatCreate(SamplingParams, kw_only=True):
    """Answer a conversation. The result is the whole completion, also after a stream."""

    messages: list[ChatMessage]
    model: str = "default"
    max_tokens: int | None = None
    """None: up to the end of the context."""
    max_completion_tokens: int | None = None
    """OpenAI's newer name for max_tokens; only one of the two may be given."""
    logprobs: bool = False
    top_logprobs: int = 0
    stream_options: StreamOptions | None = None
    chat_template_kwargs: dict[str, object] = {}
    """Extra variables for the model's chat template."""
    overflow: ChatOverflow = "drop_turns"
    """When the conversation does not fit: drop whole turns, oldest first, never a system message; or fail."""
