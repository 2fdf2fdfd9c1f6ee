"""Requests of the engine to this program."""

import asyncio

import pytest

from sidecar_client import Engine, HostHandlers, SyncEngine, errors
from sidecar_protocol.base import HostParams
from sidecar_protocol.chat_messages import ChatFunction, ChatTool
from sidecar_protocol.envelope import Kind
from sidecar_protocol.host import (
    ElicitationAnswer,
    FormElicitation,
    HostCallTool,
    HostElicit,
    HostReviewSampling,
    ToolOutput,
)
from sidecar_protocol.methods import HOST_REQUESTS
from tests.clients.python.conftest import Attach
from tests.support.fake_engine import FakeEngine

CALL = {"call_id": "c", "name": "add", "arguments": {"a": 1, "b": 2}}
FORM = {"mode": "form", "message": "Who are you?", "requestedSchema": {"type": "object"}}


async def call_tool(request: HostCallTool) -> ToolOutput | dict[str, object]:
    match request.name, request.arguments:
        case "add", {"a": int(a), "b": int(b)}:
            return ToolOutput(output=str(a + b))
        case "refuse", _:
            raise errors.PermissionDenied("not today", data={"why": "holiday"})
        case "plain", _:
            return {"output": "as it is", "of_tomorrow": True}
        case "nonsense", _:
            return {"value": float("inf")}
        case "surrogate", _:
            raise OSError("no file caf\udce9")
        case "long", _:
            raise errors.PermissionDenied("x" * 20_000_000, data={"y": "y" * 20_000_000})
        case "unsendable", _:
            raise errors.PermissionDenied("not today", data={"why": float("nan")})
        case "wait", _:
            return await asyncio.Event().wait()
        case _:
            raise KeyError("name")


async def elicit(request: HostElicit) -> ElicitationAnswer:
    match request.elicitation:
        case FormElicitation(message=message):
            return ElicitationAnswer(action="accept", content={"asked": message})
        case _:
            return ElicitationAnswer(action="decline")


@pytest.fixture(autouse=True)
async def attached(fake: FakeEngine, attach: Attach) -> Engine:
    return await attach(fake, handlers={"host.call_tool": call_tool, "host.elicit": elicit})


async def ask(fake: FakeEngine, name: str, request_id: int, **arguments: object) -> None:
    params = {"call_id": "c", "name": name, "arguments": arguments}
    await fake.send(Kind.REQUEST, params, id=request_id, m="host.call_tool")


async def error_of(fake: FakeEngine) -> dict[str, object]:
    _, body = await fake.next(Kind.ERROR)
    assert isinstance(body, dict)
    return body


async def test_the_handler_gets_the_protocols_type_and_its_result_goes_back(fake: FakeEngine) -> None:
    await ask(fake, "add", 5, a=1, b=2)
    header, body = await fake.next(Kind.RESULT)
    assert (header.id, body) == (5, {"output": "3"})


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("surrogate", "internal", "the handler raised OSError: no file caf?"),
        ("long", "permission_denied", "x" * 1000),
        ("unsendable", "permission_denied", "not today"),
    ],
)
async def test_an_error_that_cannot_be_sent_whole_is_sent_without_its_data(
    name: str, code: str, message: str, fake: FakeEngine, attach: Attach
) -> None:
    await attach(fake, handlers={"host.call_tool": call_tool})
    await fake.send(Kind.REQUEST, {**CALL, "name": name}, id=1, m="host.call_tool")
    assert await error_of(fake) == {"code": code, "message": message}


async def test_a_handler_may_answer_with_plain_objects(fake: FakeEngine) -> None:
    await ask(fake, "plain", 5)
    assert (await fake.next(Kind.RESULT))[1] == {"output": "as it is", "of_tomorrow": True}


async def test_parts_of_the_params_have_their_types_too(fake: FakeEngine) -> None:
    params = {"server": "files", "elicitation": {**FORM, "of_tomorrow": 1}, "of_tomorrow": [1]}
    await fake.send(Kind.REQUEST, params, id=1, m="host.elicit")
    body = (await fake.next(Kind.RESULT))[1]
    assert body == {"action": "accept", "content": {"asked": "Who are you?"}}


async def test_blocks_of_an_unknown_type_stay_what_they_were(fake: FakeEngine, attach: Attach) -> None:
    asked: list[HostReviewSampling] = []

    async def review(request: HostReviewSampling) -> dict[str, object]:
        asked.append(request)
        return {"approved": False}

    async with FakeEngine() as other:
        await attach(other, handlers={"host.review_sampling": review})
        block = {"type": "of_tomorrow", "x": 1}
        messages = [{"role": "user", "content": [{"type": "text", "text": "a"}, block]}]
        request = {"messages": messages, "maxTokens": 5}
        params = {"server": "files", "stage": "of_tomorrow", "request": request}
        await other.send(Kind.REQUEST, params, id=1, m="host.review_sampling")
        await other.next(Kind.RESULT)
    (content,) = (message.content for message in asked[0].request.messages)
    assert isinstance(content, list)
    assert content[1] == block


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({**CALL, "arguments": "{}"}, "$.arguments"),
        ({"name": "add", "arguments": {}}, "call_id"),
        ([], "host.call_tool"),
    ],
)
async def test_params_of_another_shape_never_reach_the_handler(
    fake: FakeEngine, params: object, where: str
) -> None:
    await fake.send(Kind.REQUEST, params, id=1, m="host.call_tool")
    error = await error_of(fake)
    assert error["code"] == "invalid_params"
    assert where in str(error["message"])


async def test_the_handlers_error_goes_back_with_its_code(fake: FakeEngine) -> None:
    await ask(fake, "refuse", 6)
    header, body = await fake.next(Kind.ERROR)
    assert header.id == 6
    assert body == {"code": "permission_denied", "message": "not today", "data": {"why": "holiday"}}


async def test_any_other_exception_is_internal_and_says_what(fake: FakeEngine) -> None:
    await ask(fake, "raise", 7)
    assert await error_of(fake) == {"code": "internal", "message": "the handler raised KeyError: 'name'"}


async def test_a_result_that_cannot_be_sent_is_an_error(fake: FakeEngine) -> None:
    await ask(fake, "nonsense", 8)
    assert "cannot be sent" in str((await error_of(fake))["message"])


async def test_a_request_without_handler_is_refused(fake: FakeEngine) -> None:
    await fake.send(Kind.REQUEST, {}, id=9, m="host.open_url")
    assert (await error_of(fake))["code"] == "unsupported"


async def test_the_engine_may_cancel(fake: FakeEngine) -> None:
    await ask(fake, "wait", 10)
    await fake.round_trip()
    await fake.send(Kind.CANCEL, id=10)
    header, body = await fake.next(Kind.ERROR)
    assert isinstance(body, dict)
    assert (header.id, body["code"]) == (10, "cancelled")


async def test_an_id_that_was_used_is_ignored_and_the_running_request_lives(fake: FakeEngine) -> None:
    await ask(fake, "wait", 12)
    for used in (12, 11):
        await ask(fake, "add", used, a=1, b=2)
    await fake.round_trip()
    assert (fake.count(Kind.RESULT), fake.count(Kind.ERROR)) == (0, 0)
    await fake.send(Kind.CANCEL, id=12)
    header, _ = await fake.next(Kind.ERROR)
    assert header.id == 12


def test_every_request_of_the_engine_has_its_handlers_type() -> None:
    assert HostHandlers.__annotations__.keys() == HOST_REQUESTS.keys()
    assert not HostHandlers.__required_keys__
    for name, request in HOST_REQUESTS.items():
        described = str(HostHandlers.__annotations__[name])
        assert issubclass(request.params, HostParams)
        assert f"{request.params.__name__}]" in described
        assert f"[{request.result.__module__}.{request.result.__name__} |" in described


OPTIONS = {"executor": "scripted"}


def test_the_same_without_asyncio_and_a_real_engine() -> None:
    handlers: HostHandlers = {"host.call_tool": call_tool}
    with SyncEngine.spawn(app_id="t", options=OPTIONS, handlers=handlers, restart=None) as engine:
        completion = engine.chat.create(
            messages=[{"role": "user", "content": 'call add {"a": 1, "b": 2}'}],
            tools=[ChatTool(function=ChatFunction(name="add"))],
            tool_execution="host",
        )
        assert completion.choices[0].message.content == "3"


async def test_an_idempotency_key_goes_into_the_header(fake: FakeEngine, attached: Engine) -> None:
    call = asyncio.ensure_future(attached.call("mcp.ping", {"server": "files"}, idempotency_key="once"))
    header, _ = await fake.next(Kind.REQUEST)
    assert (header.idem, header.credit) == ("once", None)
    await fake.send(Kind.RESULT, {"round_trip_ms": 0.5}, id=header.id, s=0)
    assert await call == {"round_trip_ms": 0.5}
    stream = attached.stream("responses.create", {"input": "a"}, idempotency_key="twice")
    header, _ = await fake.next(Kind.REQUEST)
    assert (header.idem, header.credit) == ("twice", 32)
    stream.cancel()


def test_an_engine_without_idempotent_methods_says_so() -> None:
    with SyncEngine.spawn(app_id="t", options=OPTIONS, restart=None) as engine:
        with pytest.raises(errors.InvalidParams, match="takes no idempotency key") as raised:
            engine.call("tokens.encode", {"text": "a"}, idempotency_key="once")
        assert raised.value.data["parameter"] == "idem"
        with pytest.raises(errors.InvalidParams):
            engine.stream("chat.create", {"messages": []}, idempotency_key="once").result()
