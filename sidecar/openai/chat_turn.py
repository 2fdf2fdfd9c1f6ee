"""One answer being made: engine outputs in, OpenAI chunks out, the whole completion at any time."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from sidecar.generation import (
    MAX_CHOICES,
    FinishReason,
    GenerationChunk,
    GenerationOutput,
    GenerationTimings,
    GenerationUsage,
    SampledLogprobs,
    TokenLogprob,
)
from sidecar.openai.answer import Answer, ParserMaker
from sidecar_protocol.chat import (
    ChatChoice,
    ChatChunkEvent,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCreate,
    ChatDelta,
    ChatEvent,
    ChatFinishReason,
    ChatLogprob,
    ChatLogprobs,
    ChatTokenLogprobs,
    ChunkChoice,
    Overflow,
)
from sidecar_protocol.common import (
    OverflowEvent,
    PrefillEvent,
    PromptTokensDetails,
    QueuedEvent,
    Timings,
    Usage,
)

ChatEventSink = Callable[[ChatEvent], None]
TokenBytes = Callable[[int], bytes]


@dataclass(slots=True)
class _Choice:
    answer: Answer = field(default_factory=Answer)
    logprobs: list[ChatTokenLogprobs] = field(default_factory=list)
    finish_reason: ChatFinishReason | None = None
    started: bool = False


@dataclass(frozen=True, slots=True)
class ChatIdentity:
    """What all chunks of a completion have in common."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))


class ChatTurn:
    """Collects one answer of the model and passes its events to `sink` as they come.

    `tool_round` counts the answers before it that the same completion is made of.
    """

    def __init__(
        self,
        request: ChatCreate,
        sink: ChatEventSink | None = None,
        *,
        identity: ChatIdentity | None = None,
        tool_round: int = 0,
    ) -> None:
        self.identity = identity or ChatIdentity(request.model)
        self.tool_round = tool_round
        self.usage = GenerationUsage(0, 0)
        self.timings = GenerationTimings()
        self._wants_logprobs = request.logprobs
        self._sink = sink
        # What is out of range is refused later, and must not take memory before.
        self._choices = [_Choice() for _ in range(min(max(request.n, 1), MAX_CHOICES))]
        self._overflow: OverflowEvent | None = None

    @property
    def may_stop(self) -> bool:
        """Whether what generation still makes would not count."""
        answers = [choice.answer for choice in self._choices]
        return all(answer.is_over for answer in answers) and any(answer.stopped_at_call for answer in answers)

    def read_calls(self, make_parser: ParserMaker, *, several: bool) -> None:
        """Tell calls from text; without `several` a choice is over behind its first call."""
        for choice in self._choices:
            choice.answer.read_calls(make_parser, several=several)

    def tell(self, event: ChatEvent) -> None:
        """Pass on an event that is not text: waiting, loading, reading the prompt, overflow."""
        if isinstance(event, OverflowEvent):
            self._overflow = event
        if self._sink is not None:
            self._sink(event)

    def take(self, output: GenerationOutput, token_bytes: TokenBytes) -> None:
        """Take what one engine step made."""
        self.usage = output.usage
        self.timings = output.timings
        for event in progress_events(output):
            self.tell(event)
        for chunk in output.chunks:
            self._take_chunk(chunk, token_bytes)

    def completion(self) -> ChatCompletion:
        """The whole answer, or what there is of it so far."""
        return ChatCompletion(
            id=self.identity.id,
            object="chat.completion",
            created=self.identity.created,
            model=self.identity.model,
            choices=[
                ChatChoice(
                    index=index,
                    message=choice.answer.message(),
                    finish_reason=choice.finish_reason,
                    logprobs=ChatLogprobs(content=choice.logprobs) if self._wants_logprobs else None,
                )
                for index, choice in enumerate(self._choices)
            ],
            usage=to_usage(self.usage),
            timings=to_timings(self.timings),
            overflow=None
            if self._overflow is None
            else Overflow(
                dropped_messages=self._overflow.dropped_messages, dropped_tokens=self._overflow.dropped_tokens
            ),
        )

    def tell_usage(self, usage: GenerationUsage) -> None:
        """The last chunk of a stream that asked for it: no choice, and the usage."""
        self.tell(self._chunk_event([], to_usage(usage)))

    def _take_chunk(self, chunk: GenerationChunk, token_bytes: TokenBytes) -> None:
        choice = self._choices[chunk.choice]
        if choice.answer.is_over:
            return
        first, choice.started = not choice.started, True
        finish_reason = to_chat_finish_reason(chunk.finish_reason)
        logprobs = [_token_logprobs(item, token_bytes) for item in chunk.logprobs]
        choice.logprobs.extend(logprobs)
        deltas = choice.answer.take(chunk.text, ends=chunk.finish_reason is not None)
        if choice.answer.stopped_at_call or (choice.answer.calls and finish_reason == "stop"):
            finish_reason = "tool_calls"
        choice.finish_reason = finish_reason
        if self._sink is None or not (deltas or logprobs or finish_reason or first):
            return
        deltas = deltas or [ChatDelta()]
        if first:
            deltas[0].role = "assistant"
        for delta in deltas:
            is_last = delta is deltas[-1]
            self._sink(
                self._chunk_event(
                    [
                        ChunkChoice(
                            index=chunk.choice,
                            delta=delta,
                            finish_reason=finish_reason if is_last else None,
                            logprobs=ChatLogprobs(content=logprobs) if logprobs and is_last else None,
                        )
                    ]
                )
            )

    def _chunk_event(self, choices: list[ChunkChoice], usage: Usage | None = None) -> ChatChunkEvent:
        return ChatChunkEvent(
            chunk=ChatCompletionChunk(
                id=self.identity.id,
                object="chat.completion.chunk",
                created=self.identity.created,
                model=self.identity.model,
                choices=choices,
                usage=usage,
            ),
            tool_round=self.tool_round,
        )


def progress_events(output: GenerationOutput) -> list[QueuedEvent | PrefillEvent]:
    """What an output says of the time before the first token."""
    events: list[QueuedEvent | PrefillEvent] = []
    if output.queue_position is not None and not output.finished:
        events.append(QueuedEvent(position=output.queue_position))
    if output.prefill is not None:
        events.append(PrefillEvent(done=output.prefill.done, total=output.prefill.total))
    return events


def to_chat_finish_reason(reason: FinishReason | None) -> ChatFinishReason | None:
    """OpenAI's two words for the engine's five; a cancelled or failed choice has none."""
    if reason is FinishReason.LENGTH:
        return "length"
    return "stop" if reason in {FinishReason.STOP, FinishReason.STOP_SEQUENCE} else None


def to_usage(usage: GenerationUsage) -> Usage:
    """Token counts in OpenAI's names."""
    return Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=usage.cached_tokens),
    )


def to_timings(timings: GenerationTimings) -> Timings:
    """Seconds to milliseconds, to a microsecond."""
    return Timings(
        queued_ms=round(timings.queued * 1000, 3),
        prefill_ms=round(timings.prefill * 1000, 3),
        decode_ms=round(timings.decode * 1000, 3),
    )


def _token_logprobs(item: SampledLogprobs, token_bytes: TokenBytes) -> ChatTokenLogprobs:
    chosen = _logprob(item.chosen, token_bytes)
    return ChatTokenLogprobs(
        token=chosen.token,
        logprob=chosen.logprob,
        bytes=chosen.bytes,
        top_logprobs=[_logprob(entry, token_bytes) for entry in item.top],
    )


def _logprob(entry: TokenLogprob, token_bytes: TokenBytes) -> ChatLogprob:
    raw = token_bytes(entry.token_id)
    return ChatLogprob(token=raw.decode("utf-8", "replace"), logprob=entry.logprob, bytes=list(raw))
