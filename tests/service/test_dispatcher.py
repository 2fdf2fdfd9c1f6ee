"""Whatever a request holds and whatever a handler does, one result or one error comes out."""

import asyncio
import logging

import pytest

from sidecar.errors import Cancelled, DeadlineExceeded
from sidecar.service.context import RequestContext
from sidecar.service.dispatcher import Dispatcher
from sidecar_protocol.base import Event, Result
from sidecar_protocol.common import Done
from sidecar_protocol.errors import ErrorBody
from sidecar_protocol.tokens import TokensDecoded


class Connection:
    connection_id = "c"
    capabilities: frozenset[str] = frozenset()

    def __init__(self, *, is_debug: bool = False) -> None:
        self.is_debug = is_debug

    async def request(self, method: str, params: object, *, parent: int | None = None) -> object:
        raise AssertionError("no handler here asks the host")

    def notify(self, method: str, params: object) -> None:
        raise AssertionError("no handler here notifies")


class Stream:
    def __init__(self) -> None:
        self.opened = 0
        self.events: list[Event] = []

    def open(self) -> None:
        self.opened += 1

    def emit(self, event: Event) -> None:
        self.events.append(event)


def context(*, is_debug: bool = False, stream: Stream | None = None) -> RequestContext:
    return RequestContext(Connection(is_debug=is_debug), 1, stream or Stream())


async def echo(params: object, context: RequestContext) -> Result:
    return Done()


async def dispatch(name: str, params: object, *, is_debug: bool = False) -> Result | ErrorBody:
    handlers = {"chat.create": echo, "engine.watch": echo, "models.load": echo, "engine.info": echo}
    return await Dispatcher(handlers).dispatch(name, params, context(is_debug=is_debug))


async def test_a_handlers_result_comes_back() -> None:
    assert await dispatch("engine.info", {}) == Done()
    assert await dispatch("engine.info", None) == Done()


@pytest.mark.parametrize(
    ("name", "params", "code", "says"),
    [
        ("chat.creat", {}, "method_not_found", "did you mean 'chat.create'"),
        ("x", {}, "method_not_found", "welcome.methods"),
        ("chat.create", {"messages": [], "max_token": 3}, "invalid_params", "did you mean 'max_tokens'"),
        (
            "chat.create",
            {"messages": [{"role": "user", "contents": "x"}]},
            "invalid_params",
            "params.messages[0] has an unknown field 'contents'; did you mean 'content'",
        ),
        ("chat.create", {}, "invalid_params", "missing required field `messages`"),
        ("chat.create", {"messages": [], "max_tokens": 1.5}, "invalid_params", "params.max_tokens"),
        ("chat.create", [], "invalid_params", "Expected `object`"),
        (
            "chat.create",
            {
                "messages": [],
                "tools": [
                    {"type": "function", "function": {"name": "add", "parameters": {"x": [1, {"y": b""}]}}}
                ],
            },
            "invalid_params",
            "params.tools[0].function.parameters.x[1].y: binary; it takes what JSON has",
        ),
        ("engine.watch", {}, "unauthorized", "--socket"),
        ("tokens.encode", {"text": "x"}, "unsupported", "tokens.encode is not part of this engine"),
    ],
)
async def test_bad_requests_are_told_what_and_where(name: str, params: object, code: str, says: str) -> None:
    outcome = await dispatch(name, params)
    assert isinstance(outcome, ErrorBody)
    assert outcome.code == code
    assert says in outcome.message


async def test_what_is_wrong_is_not_repeated_whole_and_may_look_like_a_place() -> None:
    wrong = "x - at `$.nowhere`" + "y" * 100_000
    for params, where in (
        ({"messages": [], "priority": wrong}, "params.priority: "),
        ({"messages": [{"role": wrong}]}, "params.messages[0].role: "),
    ):
        outcome = await dispatch("chat.create", params)
        assert isinstance(outcome, ErrorBody)
        assert outcome.message.startswith(where), outcome.message
        assert len(outcome.message) < 1000


async def test_debug_methods_are_for_debug_connections() -> None:
    assert await dispatch("engine.watch", {}, is_debug=True) == Done()
    dispatcher = Dispatcher({"engine.watch": echo, "engine.info": echo})
    assert dispatcher.methods(debug=False) == ["engine.info"]
    assert dispatcher.methods(debug=True) == ["engine.info", "engine.watch"]


async def test_an_unexpected_exception_is_internal_and_keeps_its_text_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(params: object, context: RequestContext) -> Result:
        raise RuntimeError("the user's secret text")

    with caplog.at_level(logging.ERROR):
        outcome = await Dispatcher({"engine.info": broken}).dispatch("engine.info", {}, context())
    assert isinstance(outcome, ErrorBody)
    assert outcome.code == "internal"
    assert "secret" not in outcome.message
    assert "RuntimeError" in caplog.text


@pytest.mark.parametrize(
    ("reason", "code"), [(Cancelled("gone"), "cancelled"), (DeadlineExceeded("late"), "deadline_exceeded")]
)
async def test_an_ended_request_carries_what_there_was(
    reason: Cancelled | DeadlineExceeded, code: str
) -> None:
    started = asyncio.Event()

    async def endless(params: object, context: RequestContext) -> Result:
        context.partial = lambda: TokensDecoded(text="half")
        started.set()
        await asyncio.get_running_loop().create_future()
        return Done()

    request = context()
    task = asyncio.create_task(Dispatcher({"engine.info": endless}).dispatch("engine.info", {}, request))
    await started.wait()
    request.end(reason)
    request.end(Cancelled("a later reason changes nothing"))
    task.cancel()
    outcome = await task
    assert isinstance(outcome, ErrorBody)
    assert outcome.code == code
    assert outcome.data["partial"] == {"text": "half"}


async def test_without_stream_nothing_is_emitted_and_no_stream_is_claimed() -> None:
    async def talkative(params: object, context: RequestContext) -> Result:
        context.emit(Event())
        return Done()

    dispatcher = Dispatcher({"models.load": talkative})
    silent, loud = Stream(), Stream()
    await dispatcher.dispatch("models.load", {"model": "m"}, context(stream=silent))
    await dispatcher.dispatch("models.load", {"model": "m", "stream": True}, context(stream=loud))
    assert (silent.opened, silent.events) == (0, [])
    assert (loud.opened, len(loud.events)) == (1, 1)


def test_a_handler_for_an_undeclared_method_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"chat\.nothing"):
        Dispatcher({"chat.nothing": echo})
