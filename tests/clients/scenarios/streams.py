"""Answers in pieces, many at once, and the errors of requests that cannot be answered."""

from tests.clients.runner.client import Client
from tests.clients.scenarios.requests import CHAT, COMPLETE, chat, completed, content, text
from tests.clients.scenarios.table import scenario

LIMIT_BYTES = 16 * 2**20
PARALLEL = 100


@scenario
async def a_stream_is_its_result_in_pieces(client: Client) -> None:
    question = chat("Name the colours of the rainbow.", max_tokens=48)
    stream = client.shared.stream(CHAT, question)
    result = await stream.result()
    assert stream.text == content(result) != ""
    assert len(stream.events) > 10
    first = next(event for event in stream.events if event["type"] == "chunk")
    assert first["chunk"]["choices"][0]["delta"]["role"] == "assistant"
    last = stream.events[-1]["chunk"]["choices"][0]
    assert last["finish_reason"] == result["choices"][0]["finish_reason"]
    whole = await client.shared.ask(CHAT, question)
    assert content(whole) == content(result)
    assert whole["usage"]["completion_tokens"] == result["usage"]["completion_tokens"]


@scenario
async def a_hundred_streams_are_each_whole(client: Client) -> None:
    prompts = [f"Chapter {number}. Once upon a time" for number in range(4)]
    alone = [completed(await client.shared.ask(COMPLETE, text(12, prompt=prompt))) for prompt in prompts]
    streams = [
        client.shared.stream(COMPLETE, text(12, prompt=prompts[number % len(prompts)]))
        for number in range(PARALLEL)
    ]
    for number, stream in enumerate(streams):
        result = await stream.result()
        assert stream.text == completed(result) == alone[number % len(prompts)]
        assert result["usage"]["completion_tokens"] == 12


@scenario
async def every_character_survives(client: Client) -> None:
    said = 'Grüße, 世界 🙂 — e\u0301 \u200d 𝔘 \x00\t\r\n"\\'
    encoded = await client.shared.ask("tokens.encode", {"text": said})
    assert (await client.shared.ask("tokens.decode", {"token_ids": encoded["token_ids"]}))["text"] == said


@scenario
async def an_error_has_its_class(client: Client) -> None:
    engine = client.shared
    error = await engine.call("chat.creat").error("method_not_found")
    assert error["data"]["nearest"] == CHAT
    error = await engine.call(CHAT, {"mesages": []}).error("invalid_params")
    assert "messages" in error["message"]
    error = await engine.stream(CHAT, chat("Hello", temperature=-1)).error("invalid_params")
    assert error["data"]["parameter"] == "params.temperature"
    assert error["retryable"] is False
    await engine.call("models.load", {"model": "no-such-model"}).error("not_found")
    await engine.stream("engine.watch").error("unauthorized")


@scenario
async def an_oversized_message_is_refused_at_home(client: Client) -> None:
    engine = client.shared
    for request in (
        engine.call("tokens.encode", {"text": "x" * LIMIT_BYTES}),
        engine.stream(COMPLETE, text(1, prompt="x" * LIMIT_BYTES)),
    ):
        error = await request.error("too_large")
        assert error["data"]["limit"] == LIMIT_BYTES < error["data"]["size"]
    assert (await engine.ask("engine.info"))["pid"] == engine.opened["pid"]
    assert engine.notifications == []


@scenario
async def a_header_too_long_is_refused_at_home(client: Client) -> None:
    error = await client.shared.call("m" * 5_000).error("too_large")
    assert error["data"]["limit"] == 4_096 < error["data"]["size"]
    assert client.shared.notifications == []


@scenario
async def more_credit_than_there_is_does_no_harm(client: Client) -> None:
    stream = client.shared.stream(COMPLETE, text(400), credit=1_000)
    assert completed(await stream.result()) == stream.text
    assert len(stream.events) > 350


@scenario
async def no_credit_at_all_is_refused_at_home(client: Client) -> None:
    error = await client.shared.stream(COMPLETE, text(4), credit=0).error("invalid_params")
    assert error["data"]["parameter"] == "credit"


@scenario
async def a_key_where_none_is_taken_is_refused(client: Client) -> None:
    error = await client.shared.call("engine.info", idempotency_key="once").error("invalid_params")
    assert error["data"]["parameter"] == "idem"
