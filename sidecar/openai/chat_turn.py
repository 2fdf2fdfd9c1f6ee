"""One answer being made: engine outputs in, OpenAI chunks out, the whole completion at any time."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from sidecar.generation import (
    FinishReason,
    GenerationChunk,
    GenerationOutput,
    GenerationTimings,
    GenerationUsage,
    SampledLogprobs,
    TokenLogprob,
)
from sidecar_protocol.chat import (
    AssistantReply,
    ChatChoice,
    ChatChunkEvent,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCreate,
    ChatDelta,
    ChatFinishReason,
    ChatLogprob,
    ChatLogprobs,
    ChatTokenLogprobs,
    ChunkChoice,
    Overflow,
)
from sidecar_protocol.common import (
    LoadingEvent,
    OverflowEvent,
    PrefillEvent,
    PromptTokensDetails,
    QueuedEvent,
    Timings,
    Usage,
)

ChatEvent = QueuedEvent | LoadingEvent | PrefillEvent | OverflowEvent | ChatChunkEvent
ChatEventSink = Callable[[ChatEvent], None]
TokenBytes = Callable[[int], bytes]


@dataclass(slots=True)
class _Choice:
    texts: list[str] = field(default_factory=list)
    logprobs: list[ChatTokenLogprobs] = field(default_factory=list)
    finish_reason: ChatFinishReason | None = None


class ChatTurn:
    """Collects one answer and passes its events to `sink` as they come."""

    def __init__(self, request: ChatCreate, sink: ChatEventSink | None = None) -> None:
        self.id = f"chatcmpl-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.model = request.model
        self._include_usage = request.stream_options is not None and request.stream_options.include_usage
        self._wants_logprobs = request.logprobs
        self._sink = sink
        self._choices = [_Choice() for _ in range(max(request.n, 1))]
        self._usage = GenerationUsage(0, 0)
        self._timings = GenerationTimings()
        self._overflow: OverflowEvent | None = None

    def tell(self, event: ChatEvent) -> None:
        """Pass on an event that is not text: waiting, loading, reading the prompt, overflow."""
        if isinstance(event, OverflowEvent):
            self._overflow = event
        if self._sink is not None:
            self._sink(event)

    def take(self, output: GenerationOutput, token_bytes: TokenBytes) -> None:
        """Take what one engine step made."""
        self._usage = output.usage
        self._timings = output.timings
        for event in progress_events(output):
            self.tell(event)
        for chunk in output.chunks:
            self._take_chunk(chunk, token_bytes)
        if output.finished and output.error is None and self._include_usage and self._sink is not None:
            self._sink(self._chunk_event([], usage=to_usage(self._usage)))

    def completion(self) -> ChatCompletion:
        """The whole answer, or what there is of it so far."""
        return ChatCompletion(
            id=self.id,
            object="chat.completion",
            created=self.created,
            model=self.model,
            choices=[
                ChatChoice(
                    index=index,
                    message=AssistantReply(role="assistant", content="".join(choice.texts)),
                    finish_reason=choice.finish_reason,
                    logprobs=ChatLogprobs(content=choice.logprobs) if self._wants_logprobs else None,
                )
                for index, choice in enumerate(self._choices)
            ],
            usage=to_usage(self._usage),
            timings=to_timings(self._timings),
            overflow=None
            if self._overflow is None
            else Overflow(
                dropped_messages=self._overflow.dropped_messages, dropped_tokens=self._overflow.dropped_tokens
            ),
        )

    def _take_chunk(self, chunk: GenerationChunk, token_bytes: TokenBytes) -> None:
        choice = self._choices[chunk.choice]
        first = not choice.texts
        finish_reason = to_chat_finish_reason(chunk.finish_reason)
        logprobs = [_token_logprobs(item, token_bytes) for item in chunk.logprobs]
        choice.texts.append(chunk.text)
        choice.logprobs.extend(logprobs)
        choice.finish_reason = finish_reason
        if self._sink is None or not (chunk.text or logprobs or finish_reason or first):
            return
        self._sink(
            self._chunk_event(
                [
                    ChunkChoice(
                        index=chunk.choice,
                        delta=ChatDelta(role="assistant" if first else None, content=chunk.text or None),
                        finish_reason=finish_reason,
                        logprobs=ChatLogprobs(content=logprobs) if logprobs else None,
                    )
                ]
            )
        )

    def _chunk_event(self, choices: list[ChunkChoice], usage: Usage | None = None) -> ChatChunkEvent:
        return ChatChunkEvent(
            chunk=ChatCompletionChunk(
                id=self.id,
                object="chat.completion.chunk",
                created=self.created,
                model=self.model,
                choices=choices,
                usage=usage,
            )
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
