"""Text events joined while a reader is behind read as if they had never been apart."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar_protocol.chat import (
    ChatChunkEvent,
    ChatCompletionChunk,
    ChatDelta,
    ChatLogprobs,
    ChatTokenLogprobs,
    ChunkChoice,
)
from sidecar_protocol.common import PromptTokensDetails, Usage
from sidecar_protocol.generate import GenerateChunkEvent, TokenLogprobItem, TokenLogprobs


def chat_chunk(
    text: str | None, *, index: int = 0, finish: bool = False, role: bool = False, logprob: bool = False
) -> ChatChunkEvent:
    token = ChatTokenLogprobs(token=text or "", logprob=-1.0, bytes=[], top_logprobs=[])
    choice = ChunkChoice(
        index=index,
        delta=ChatDelta(role="assistant" if role else None, content=text),
        finish_reason="stop" if finish else None,
        logprobs=ChatLogprobs(content=[token]) if logprob else None,
    )
    return ChatChunkEvent(chunk=completion_chunk([choice]))


def completion_chunk(choices: list[ChunkChoice], usage: Usage | None = None) -> ChatCompletionChunk:
    return ChatCompletionChunk(
        id="c", object="chat.completion.chunk", created=1, model="m", choices=choices, usage=usage
    )


def generate_chunk(text: str, *, choice: int = 0, finish: bool = False) -> GenerateChunkEvent:
    ids = [ord(letter) for letter in text]
    logprobs = [
        TokenLogprobs(chosen=TokenLogprobItem(token_id=number, logprob=-1.0), top=[]) for number in ids
    ]
    return GenerateChunkEvent(
        choice=choice,
        text=text,
        token_ids=ids,
        logprobs=logprobs or None,
        finish_reason="stop" if finish else None,
    )


@settings(deadline=None)
@given(st.lists(st.text(max_size=4), min_size=1, max_size=8), st.booleans())
def test_chat_chunks_join_to_one_with_all_text_and_logprobs(texts: list[str], logprob: bool) -> None:
    joined = chat_chunk(texts[0], role=True, logprob=logprob)
    for text in texts[1:]:
        longer = joined.joined_with(chat_chunk(text, logprob=logprob))
        assert longer is not None
        joined = longer
    (choice,) = joined.chunk.choices
    assert choice.delta == ChatDelta(role="assistant", content="".join(texts))
    if logprob:
        assert choice.logprobs is not None
        assert [token.token for token in choice.logprobs.content] == texts
    else:
        assert choice.logprobs is None


def test_the_end_of_a_choice_is_joined_and_nothing_after_it() -> None:
    ended = chat_chunk("a").joined_with(chat_chunk(None, finish=True))
    assert ended is not None
    assert ended.chunk.choices[0].finish_reason == "stop"
    assert ended.chunk.choices[0].delta.content == "a"
    assert ended.joined_with(chat_chunk("b")) is None


def test_other_choices_and_usage_are_not_joined() -> None:
    usage = Usage(
        prompt_tokens=1,
        completion_tokens=1,
        total_tokens=2,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=0),
    )
    last = ChatChunkEvent(chunk=completion_chunk([], usage))
    assert chat_chunk("a").joined_with(chat_chunk("b", index=1)) is None
    assert chat_chunk("a").joined_with(last) is None
    assert last.joined_with(chat_chunk("a")) is None


@settings(deadline=None)
@given(st.lists(st.text(max_size=4), min_size=1, max_size=8))
def test_generated_chunks_join_to_one_with_all_text_tokens_and_logprobs(texts: list[str]) -> None:
    joined = generate_chunk(texts[0])
    for text in texts[1:]:
        longer = joined.joined_with(generate_chunk(text))
        assert longer is not None
        joined = longer
    assert joined == generate_chunk("".join(texts))


def test_generated_chunks_of_other_choices_or_after_the_end_are_not_joined() -> None:
    assert generate_chunk("a").joined_with(generate_chunk("b", choice=1)) is None
    assert generate_chunk("a", finish=True).joined_with(generate_chunk("b")) is None
