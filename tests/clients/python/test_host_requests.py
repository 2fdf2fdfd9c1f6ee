"""Requests of the engine to this program."""

import asyncio

import pytest

from sidecar_client import errors
from sidecar_protocol.envelope import Kind
from tests.clients.python.conftest import Attach
from tests.support.fake_engine import FakeEngine


async def call_tool(params: object) -> object:
    match params:
        case {"name": "add", "a": int(a), "b": int(b)}:
            return {"sum": a + b}
        case {"name": "refuse"}:
            raise errors.PermissionDenied("not today", data={"why": "holiday"})
        case {"name": "nonsense"}:
            return {"value": float("inf")}
        case {"name": "wait"}:
            return await asyncio.Event().wait()
        case _:
            raise KeyError("name")


@pytest.fixture(autouse=True)
async def attached(fake: FakeEngine, attach: Attach) -> None:
    await attach(fake, handlers={"host.call_tool": call_tool})


async def ask(fake: FakeEngine, params: object, request_id: int) -> None:
    await fake.send(Kind.REQUEST, params, id=request_id, m="host.call_tool")


async def test_the_handlers_result_goes_back(fake: FakeEngine) -> None:
    await ask(fake, {"name": "add", "a": 1, "b": 2}, 5)
    header, body = await fake.next(Kind.RESULT)
    assert (header.id, body) == (5, {"sum": 3})


async def test_the_handlers_error_goes_back_with_its_code(fake: FakeEngine) -> None:
    await ask(fake, {"name": "refuse"}, 6)
    header, body = await fake.next(Kind.ERROR)
    assert header.id == 6
    assert body == {"code": "permission_denied", "message": "not today", "data": {"why": "holiday"}}


async def test_any_other_exception_is_internal_and_says_what(fake: FakeEngine) -> None:
    await ask(fake, {}, 7)
    _, body = await fake.next(Kind.ERROR)
    assert body == {"code": "internal", "message": "the handler raised KeyError: 'name'"}


async def test_a_result_that_cannot_be_sent_is_an_error(fake: FakeEngine) -> None:
    await ask(fake, {"name": "nonsense"}, 8)
    _, body = await fake.next(Kind.ERROR)
    assert isinstance(body, dict)
    assert "cannot be sent" in body["message"]


async def test_a_request_without_handler_is_refused(fake: FakeEngine) -> None:
    await fake.send(Kind.REQUEST, {}, id=9, m="host.elicit")
    _, body = await fake.next(Kind.ERROR)
    assert isinstance(body, dict)
    assert body["code"] == "unsupported"


async def test_the_engine_may_cancel(fake: FakeEngine) -> None:
    await ask(fake, {"name": "wait"}, 10)
    await fake.round_trip()
    await fake.send(Kind.CANCEL, id=10)
    header, body = await fake.next(Kind.ERROR)
    assert isinstance(body, dict)
    assert (header.id, body["code"]) == (10, "cancelled")
