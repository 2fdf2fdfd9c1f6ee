"""Requests that have so long and no longer."""

from tests.clients.runner.client import Client
from tests.clients.scenarios.requests import (
    CHAT,
    COMPLETE,
    chat,
    completed,
    content,
    endless,
    long_prompt,
    text,
)
from tests.clients.scenarios.table import scenario


@scenario
async def a_deadline_ends_a_stream_with_what_there_is(client: Client) -> None:
    stream = client.shared.stream(COMPLETE, endless(), deadline_ms=500)
    error = await stream.error("deadline_exceeded")
    assert completed(error["data"]["partial"]) == stream.text != ""
    assert "500 ms" in error["message"]
    await client.shared.settled()


@scenario
async def a_deadline_ends_a_call_with_what_there_is(client: Client) -> None:
    call = client.shared.call(CHAT, chat("Tell me a story.", ignore_eos=True), deadline_ms=500)
    error = await call.error("deadline_exceeded")
    assert content(error["data"]["partial"])
    await client.shared.settled()


@scenario
async def a_deadline_may_pass_before_the_first_token(client: Client) -> None:
    stream = client.shared.stream(COMPLETE, {"prompt": long_prompt(6_000)}, deadline_ms=300)
    error = await stream.error("deadline_exceeded")
    assert completed(error["data"]["partial"]) == stream.text == ""
    await client.shared.settled()


@scenario
async def a_deadline_that_is_kept_changes_nothing(client: Client) -> None:
    stream = client.shared.stream(COMPLETE, text(8), deadline_ms=20_000)
    assert completed(await stream.result()) == stream.text != ""
