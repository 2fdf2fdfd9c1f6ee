"""chat.*: OpenAI chat completions."""

from typing import Annotated, ClassVar, Literal, Self

import msgspec

from sidecar_protocol.base import Coalesce, Event, Params, Result, needs, open_enum
from sidecar_protocol.chat_messages import (
    ChatMessage,
    ChatTool,
    ChatToolCall,
    ChatToolChoice,
    ResponseFormat,
    StructuredOutputs,
)
from sidecar_protocol.common import (
    LoadingEvent,
    OverflowEvent,
    PrefillEvent,
    QueuedEvent,
    ReasoningEffort,
    SamplingParams,
    Timings,
    Usage,
)
from sidecar_protocol.registry import method

ChatFinishReason = Annotated[str, open_enum("stop", "length", "tool_calls")]
"""Why a choice ended."""
ChatOverflow = Literal["drop_turns", "error"]
"""What to do with a conversation that does not fit."""
ToolExecution = Literal["caller", "host"]
"""Who runs the calls of an answer."""


class StreamOptions(Params):
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
    content: str | None = None
    """None where it only calls tools."""
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ChatToolCall] | None = None


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


class ToolReply(Result):
    """What came of a call that the host was asked to run; it may follow in `messages` as it is."""

    role: Literal["tool"]
    tool_call_id: str
    content: str
    """What the model is told. What was too long for it ends with a note of how much was cut."""


class ToolRound(Result):
    """An answer whose calls the host ran, and what came of them in the calls' order."""

    message: AssistantReply
    replies: list[ToolReply]


class ChatCompletion(Result):
    """A whole chat completion. With `tool_rounds`, usage and timings are those of all answers together."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    timings: Timings
    overflow: Overflow | None = None
    tool_rounds: list[ToolRound] = []
    """What went before the answer with `tool_execution: host`, oldest first."""


class ChatFunctionCallDelta(Result):
    """What a chunk adds to a call; `name` is in the first one."""

    name: str | None = None
    arguments: str | None = None


class ChatToolCallDelta(Result):
    """What a chunk adds to the call at `index`; `id` and `type` are in the first one."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: ChatFunctionCallDelta | None = None


class ChatDelta(Result):
    """What a chunk adds to a message; `role` is in the first one."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ChatToolCallDelta] | None = None

    def followed_by(self, later: "ChatDelta") -> "ChatDelta | None":
        """Both as one, when the later one goes on with the same text or the same call; else None."""
        before, after = self._kind(), later._kind()
        if later.role is not None or (before and after and before != after):
            return None
        if any(call.id is not None for call in later.tool_calls or ()) or len(later.tool_calls or ()) > 1:
            return None
        calls = [*(self.tool_calls or []), *(later.tool_calls or [])]
        return ChatDelta(
            role=self.role,
            content=_joined(self.content, later.content),
            refusal=_joined(self.refusal, later.refusal),
            reasoning_content=_joined(self.reasoning_content, later.reasoning_content),
            tool_calls=[_joined_calls(calls)] if calls else None,
        )

    def _kind(self) -> tuple[str | int, ...]:
        texts = ("content", "refusal", "reasoning_content")
        names = tuple(name for name in texts if getattr(self, name) is not None)
        return names + tuple(call.index for call in self.tool_calls or ())


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
    tool_round: int = 0
    """How often tools were run before this answer; each answer's calls are numbered from 0."""

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
        delta = first[0].delta.followed_by(second[0].delta)
        if delta is None:
            return None
        logprobs = [
            choice.logprobs.content for choice in (first[0], second[0]) if choice.logprobs is not None
        ]
        choice = ChunkChoice(
            index=first[0].index,
            delta=delta,
            finish_reason=second[0].finish_reason,
            logprobs=ChatLogprobs(content=[token for tokens in logprobs for token in tokens])
            if logprobs
            else None,
        )
        return msgspec.structs.replace(self, chunk=msgspec.structs.replace(self.chunk, choices=[choice]))


class ToolResultEvent(Event, tag="tool_result"):
    """The host has run a call, or it could not be run."""

    tool_round: int
    tool_call_id: str
    name: str
    is_error: bool = False
    cut_characters: int = 0
    """Characters of the result that the model is not shown."""


ChatEvent = QueuedEvent | LoadingEvent | PrefillEvent | OverflowEvent | ChatChunkEvent | ToolResultEvent


class ChatMcp(Params):
    """Which MCP servers' tools a chat may use."""

    servers: list[str]
    """Names as mcp.servers lists them."""


@method(
    "chat.create",
    result=ChatCompletion,
    events=ChatEvent,
    errors=("not_found", "model_load_failed", "context_overflow", "out_of_memory", "slow_consumer"),
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
    tools: Annotated[list[ChatTool] | None, needs("tools")] = None
    tool_choice: Annotated[ChatToolChoice | None, needs("tools")] = None
    """None: auto where there are tools. The model is told what it must call; an answer that does not keep to
    it is `unsupported`, with the completion in `data.partial`. Behind tool results nothing must be called."""
    parallel_tool_calls: Annotated[bool | None, needs("tools")] = None
    """Whether one answer may hold several calls; false ends the answer behind its first."""
    tool_execution: Annotated[ToolExecution, needs("tools")] = "caller"
    """Who runs the calls. "caller": they end the completion, as with OpenAI. "host": the engine asks the host
    to run them (`host.call_tool`), tells the model the results and goes on until it answers without any;
    max_tokens and the like hold for each answer."""
    max_tool_rounds: Annotated[int, needs("tools")] = 8
    """With `tool_execution: host`: how often tools are run, 1 to 100. Then calls end the completion: they are
    not run, and its finish_reason is "tool_calls"."""
    max_tool_result_characters: Annotated[int, needs("tools")] = 16_384
    """With `tool_execution: host`: a longer result is cut, and the model is told so."""
    mcp: Annotated[ChatMcp | None, needs("mcp")] = None
    """MCP servers whose tools are offered and executed; without it none are."""
    response_format: Annotated[ResponseFormat | None, needs("structured_output")] = None
    structured_outputs: Annotated[StructuredOutputs | None, needs("structured_output")] = None
    reasoning_effort: Annotated[ReasoningEffort | None, needs("reasoning")] = None


def _joined(first: str | None, second: str | None) -> str | None:
    return second if first is None else first + (second or "")


def _joined_calls(calls: list[ChatToolCallDelta]) -> ChatToolCallDelta:
    first = calls[0]
    functions = [call.function for call in calls if call.function is not None]
    arguments = [function.arguments for function in functions if function.arguments is not None]
    name = functions[0].name if functions else None
    return ChatToolCallDelta(
        index=first.index,
        id=first.id,
        type=first.type,
        function=ChatFunctionCallDelta(name=name, arguments="".join(arguments) if arguments else None)
        if functions
        else None,
    )
