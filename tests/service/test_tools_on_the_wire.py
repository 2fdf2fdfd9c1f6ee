"""The frames of a chat with tools, over the in-memory transport: what the host is asked, told and sent."""

from collections.abc import AsyncIterator

import pytest

from sidecar.engine.async_engine import AsyncInferenceEngine
from sidecar.openai.adapter import OpenAIAdapter
from sidecar.openai.local import LoadingSink, LocalChatBackend
from sidecar.service.chat import chat_handlers
from sidecar.service.dispatcher import Dispatcher
from sidecar.transport.hub import Hub
from sidecar.transport.memory import MemoryHost
from sidecar.transport.terms import Terms
from sidecar_protocol.envelope import Header, Kind
from tests.support.raw_host import MemoryChannel, RawHost
from tests.support.scripted import scripted_config

OFFER = [{"type": "function", "function": {"name": name}} for name in ("add", "wait")]


@pytest.fixture
async def host() -> AsyncIterator[RawHost]:
    async with AsyncInferenceEngine(scripted_config(blocks=256)) as engine:

        async def source(model: str, told: LoadingSink) -> AsyncInferenceEngine:
            return engine

        adapter = OpenAIAdapter(LocalChatBackend(source))
        dispatcher = Dispatcher(chat_handlers(adapter), capabilities=["tools"])
        hub = Hub(Terms(dispatcher=dispatcher, boot_id="boot", version="1"), single_host=True)
        hub.start()
        channel = MemoryChannel(MemoryHost(hub))
        raw = RawHost(channel)
        _, welcome = await raw.hello("host.call_tool")
        assert isinstance(welcome, dict)
        assert welcome["capabilities"] == ["tools"]
        yield raw
        channel.close()
        await hub.shut_down(0)


async def ask(host: RawHost, said: str, **fields: object) -> None:
    messages = [{"role": "user", "content": said}]
    params = {"messages": messages, "tools": OFFER, "tool_execution": "host", **fields}
    await host.request(5, "chat.create", params, credit=200)


async def asked(host: RawHost) -> tuple[Header, dict[str, object]]:
    """The next request to the host."""
    header, body = (await host.receive_until(lambda header: header.k == Kind.REQUEST))[-1]
    assert isinstance(body, dict)
    return header, body


async def test_a_call_is_a_request_that_names_its_parent(host: RawHost) -> None:
    await ask(host, 'Hm.\ncall add {"a": 1}\nthen call add {"a": 2}\nthen so be it', stream=True)
    for number in (1, 2):
        header, body = await asked(host)
        assert header == Header(k=Kind.REQUEST, id=number, m="host.call_tool", p=5)
        assert body == {"call_id": body["call_id"], "name": "add", "arguments": {"a": number}}
        await host.send(Header(k=Kind.RESULT, id=number, s=0), {"output": "ok"})
    header, completion = await host.terminal(5)
    assert header.k == Kind.RESULT
    assert completion["choices"][0]["message"] == {"role": "assistant", "content": "so be it"}
    assert completion["choices"][0]["finish_reason"] == "stop"
    assert [item["replies"][0]["content"] for item in completion["tool_rounds"]] == ["ok", "ok"]
    events = host.events(5)
    assert header.s == len(events)
    rounds = [event.get("tool_round", 0) for event in events if event["type"] in {"chunk", "tool_result"}]
    assert rounds == sorted(rounds)
    assert set(rounds) == {0, 1, 2}


async def test_results_may_come_in_any_order(host: RawHost) -> None:
    await ask(host, 'call add {"a": 1}\ncall add {"a": 2}')
    first, _ = await asked(host)
    second, _ = await asked(host)
    await host.send(Header(k=Kind.RESULT, id=second.id, s=0), {"output": "two"})
    await host.send(Header(k=Kind.RESULT, id=first.id, s=0), {"output": "one"})
    _, completion = await host.terminal(5)
    assert completion["choices"][0]["message"]["content"] == "one\ntwo"


async def test_a_cancel_names_the_tools_that_did_not_end_and_drops_late_results(host: RawHost) -> None:
    await ask(host, "call wait {}\ncall add {}")
    waiting, call = await asked(host)
    adding, _ = await asked(host)
    await host.send(Header(k=Kind.RESULT, id=adding.id, s=0), {"output": "3"})
    await host.round_trip()
    await host.cancel(5)
    header, _ = await host.receive()
    assert header == Header(k=Kind.CANCEL, id=waiting.id)
    header, error = await host.receive()
    assert (header.k, header.id, error["code"]) == (Kind.ERROR, 5, "cancelled")
    assert error["data"]["unfinished_tools"] == [{"id": call["call_id"], "name": "wait"}]
    assert len(error["data"]["partial"]["choices"][0]["message"]["tool_calls"]) == 2
    await host.send(Header(k=Kind.RESULT, id=waiting.id, s=0), {"output": "late"})
    assert await host.round_trip() == []


async def test_a_tool_that_ends_in_time_is_not_named(host: RawHost) -> None:
    await ask(host, "call wait {}")
    waiting, _ = await asked(host)
    await host.cancel(5)
    await host.receive()
    await host.send(Header(k=Kind.ERROR, id=waiting.id, s=0), {"code": "cancelled", "message": "fine"})
    _, error = await host.receive()
    assert "unfinished_tools" not in error["data"]


async def test_an_argument_that_cannot_be_sent_is_told_to_the_model(host: RawHost) -> None:
    await ask(host, f'call add {{"a": {2**70}}}')
    _, completion = await host.terminal(5)
    assert completion["choices"][0]["message"]["content"].startswith("Error: params of host.call_tool: ")
    assert not [header for header, _ in host.seen if header.k == Kind.REQUEST]
