"""Engine outputs as OpenAI chunks and as a whole completion."""

import msgspec

from sidecar.generation import (
    MAX_CHOICES,
    FinishReason,
    GenerationChunk,
    GenerationOutput,
    GenerationTimings,
    GenerationUsage,
    PrefillProgress,
    SampledLogprobs,
    TokenLogprob,
)
from sidecar.openai.chat_turn import ChatTurn
from sidecar_protocol.chat import ChatChunkEvent, ChatCreate, ChatEvent
from sidecar_protocol.common import OverflowEvent, PrefillEvent


def request(**fields: object) -> ChatCreate:
    return msgspec.convert(
        {"messages": [{"role": "user", "content": "hi"}], "model": "m", **fields}, ChatCreate
    )


def output(
    *chunks: GenerationChunk, finished: bool = False, prefill: PrefillProgress | None = None
) -> GenerationOutput:
    return GenerationOutput(
        "r",
        chunks,
        finished,
        usage=GenerationUsage(5, 2, 3),
        timings=GenerationTimings(0.001, 0.002, 0.003),
        prefill=prefill,
    )


def token_bytes(token_id: int) -> bytes:
    return {1: b"\xc3", 2: b"\xa9", 3: b"!"}[token_id]


def run(turn: ChatTurn) -> None:
    turn.take(output(prefill=PrefillProgress(2, 5)), token_bytes)
    turn.take(
        output(GenerationChunk("r", 0, "", (1,), (SampledLogprobs(TokenLogprob(1, -0.5)),))), token_bytes
    )
    turn.take(
        output(
            GenerationChunk(
                "r",
                0,
                "é!",
                (2, 3),
                tuple(SampledLogprobs(TokenLogprob(i, -1.0)) for i in (2, 3)),
                FinishReason.STOP,
            ),
            finished=True,
        ),
        token_bytes,
    )
    turn.tell_usage(turn.usage)


def test_chunks_carry_role_text_logprobs_usage_in_openais_order() -> None:
    events: list[ChatEvent] = []
    run(ChatTurn(request(logprobs=True), events.append))
    prefill, first, last, usage = events
    assert prefill == PrefillEvent(done=2, total=5)
    assert isinstance(first, ChatChunkEvent)
    assert isinstance(last, ChatChunkEvent)
    assert isinstance(usage, ChatChunkEvent)
    assert first.chunk.choices[0].delta.role == "assistant"
    assert last.chunk.choices[0].delta.role is None
    assert last.chunk.choices[0].delta.content == "é!"
    assert last.chunk.choices[0].finish_reason == "stop"
    assert last.chunk.choices[0].logprobs is not None
    assert [item.bytes for item in last.chunk.choices[0].logprobs.content] == [[0xA9], [0x21]]
    assert usage.chunk.choices == []
    assert usage.chunk.usage is not None
    assert usage.chunk.usage.total_tokens == 7
    assert len({event.chunk.id for event in (first, last, usage)}) == 1


def test_the_completion_is_whole_with_and_without_a_stream() -> None:
    turn = ChatTurn(request(logprobs=True))
    turn.tell(OverflowEvent(dropped_messages=2, dropped_tokens=9))
    run(turn)
    completion = turn.completion()
    assert completion.choices[0].message.content == "é!"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.choices[0].logprobs is not None
    assert len(completion.choices[0].logprobs.content) == 3
    assert completion.usage.prompt_tokens_details.cached_tokens == 3
    assert completion.timings.decode_ms == 3.0
    assert completion.overflow is not None
    assert completion.overflow.dropped_messages == 2


def test_what_there_is_before_the_end_has_no_finish_reason() -> None:
    turn = ChatTurn(request(n=2))
    turn.take(output(GenerationChunk("r", 1, "so", (3,))), token_bytes)
    completion = turn.completion()
    assert [choice.message.content for choice in completion.choices] == ["", "so"]
    assert [choice.finish_reason for choice in completion.choices] == [None, None]
    assert "finish_reason" not in msgspec.to_builtins(completion)["choices"][0]


def test_a_number_of_choices_that_will_be_refused_takes_no_memory() -> None:
    assert len(ChatTurn(request(n=1_000_000)).completion().choices) == MAX_CHOICES
