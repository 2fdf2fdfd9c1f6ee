"""What the protocol declares and this engine does not serve, as a host meets it."""

from collections.abc import AsyncIterator, Callable

import pytest

from sidecar.service.context import RequestContext
from sidecar.service.dispatcher import Dispatcher
from sidecar.transport.hub import Hub
from sidecar.transport.memory import MemoryHost
from sidecar.transport.terms import Terms
from sidecar_protocol.base import Params, Result
from sidecar_protocol.capabilities import CAPABILITIES
from sidecar_protocol.common import Done
from sidecar_protocol.envelope import Kind
from sidecar_protocol.methods import METHODS
from tests.support.raw_host import MemoryChannel, RawHost

LATER = [method for method in METHODS.values() if method.capability is not None]
MESSAGES = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "look"}}


async def done(params: Params, context: RequestContext) -> Result:
    return Done()


HostOf = Callable[[Dispatcher], RawHost]


@pytest.fixture
async def host_of() -> AsyncIterator[HostOf]:
    """Hosts of engines that serve what a dispatcher does."""
    hubs: list[Hub] = []

    def connect(dispatcher: Dispatcher) -> RawHost:
        hub = Hub(Terms(dispatcher=dispatcher, boot_id="boot", version="1"), single_host=True)
        hub.start()
        hubs.append(hub)
        return RawHost(MemoryChannel(MemoryHost(hub)))

    yield connect
    for hub in hubs:
        await hub.shut_down(0)


async def welcome_of(host: RawHost) -> dict[str, object]:
    header, body = await host.hello()
    assert header.k == Kind.WELCOME
    assert isinstance(body, dict)
    return body


async def error_of(host: RawHost, request_id: int, method: str, params: object) -> dict[str, object]:
    await host.request(request_id, method, params)
    header, body = await host.terminal(request_id)
    assert header.k == Kind.ERROR, body
    assert isinstance(body, dict)
    return body


async def test_they_are_absent_from_welcome_and_unsupported_by_their_capabilitys_name(
    host_of: HostOf,
) -> None:
    host = host_of(Dispatcher({"chat.create": done}))
    welcome = await welcome_of(host)
    assert welcome["methods"] == ["chat.create"]
    assert welcome["capabilities"] == []
    for number, method in enumerate(LATER, start=1):
        error = await error_of(host, number, method.name, {"whatever": 1})
        assert method.capability is not None
        assert error["code"] == "unsupported"
        assert f"{method.name} needs the capability {method.capability!r}" in str(error["message"])
        extra = CAPABILITIES[method.capability].extra
        expected = {"capability": method.capability} | ({"extra": extra} if extra is not None else {})
        assert error["data"] == expected
        assert extra is None or f"llm-sidecar[{extra}]" in str(error["message"])


async def test_every_capability_is_needed_by_a_method_or_a_field() -> None:
    fields = {"reasoning", "structured_output", "tools"}
    assert {method.capability for method in LATER} | fields == set(CAPABILITIES)


async def test_a_served_method_brings_its_capability(host_of: HostOf) -> None:
    host = host_of(Dispatcher({"embeddings.create": done}, capabilities=["tools"]))
    welcome = await welcome_of(host)
    assert welcome["capabilities"] == ["embeddings", "tools"]
    await host.request(1, "embeddings.create", {"input": [1, 2, 3]})
    assert (await host.terminal(1))[0].k == Kind.RESULT


@pytest.mark.parametrize(
    ("field", "value", "capability"),
    [
        ("tools", [TOOL], "tools"),
        ("tool_choice", "required", "tools"),
        ("mcp", {"servers": ["files"]}, "mcp"),
        ("response_format", {"type": "json_object"}, "structured_output"),
        ("structured_outputs", {"regex": "a+"}, "structured_output"),
        ("reasoning_effort", "low", "reasoning"),
    ],
)
async def test_a_field_is_unsupported_without_its_capability(
    host_of: HostOf, field: str, value: object, capability: str
) -> None:
    host = host_of(Dispatcher({"chat.create": done}))
    await welcome_of(host)
    error = await error_of(host, 1, "chat.create", {"messages": MESSAGES, field: value})
    assert error["code"] == "unsupported"
    assert f"params.{field} needs the capability {capability!r}" in str(error["message"])
    await host.request(2, "chat.create", {"messages": MESSAGES, field: None})
    assert (await host.terminal(2))[0].k == Kind.RESULT

    able = host_of(Dispatcher({"chat.create": done}, capabilities=[capability]))
    await welcome_of(able)
    await able.request(1, "chat.create", {"messages": MESSAGES, field: value})
    assert (await able.terminal(1))[0].k == Kind.RESULT


@pytest.mark.parametrize(
    ("method", "params", "says"),
    [
        (
            "responses.create",
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x", "txt": 1}]}]},
            "params.input[0].content[0] has an unknown field 'txt'; did you mean 'text'",
        ),
        (
            "responses.create",
            {"input": "x", "tools": [{"type": "mcp", "server_lable": "a"}]},
            "did you mean 'server_label'",
        ),
        (
            "responses.create",
            {"input": "x", "tools": [{"type": "mcp", "server_label": "a", "headres": {}}]},
            "params.tools[0] has an unknown field 'headres'; did you mean 'headers'",
        ),
        (
            "responses.create",
            {"input": "x", "text": {"format": {"type": "json_schema", "name": "a", "schema": {}, "x": 1}}},
            "params.text.format has an unknown field 'x'",
        ),
        (
            "responses.create",
            {"input": "x", "tool_choice": {"type": "function", "nam": "a"}},
            "params.tool_choice",
        ),
        ("responses.create", {"inptu": "x"}, "did you mean 'input'"),
        ("responses.create", {"input": [{"type": "web_search_call"}]}, "params.input[0].type"),
        (
            "chat.create",
            {
                "messages": [
                    *MESSAGES,
                    {
                        "role": "assistant",
                        "tool_calls": [
                            {
                                "id": "1",
                                "type": "function",
                                "function": {"name": "a", "arguments": "{}", "argument": ""},
                            }
                        ],
                    },
                ]
            },
            "params.messages[1].tool_calls[0].function has an unknown field 'argument'",
        ),
    ],
)
async def test_unknown_fields_are_refused_in_parts_that_results_hold_too(
    host_of: HostOf, method: str, params: object, says: str
) -> None:
    host = host_of(Dispatcher({"responses.create": done, "chat.create": done}))
    await welcome_of(host)
    error = await error_of(host, 1, method, params)
    assert error["code"] == "invalid_params"
    assert says in str(error["message"])


def test_what_the_protocol_does_not_declare_cannot_be_served() -> None:
    with pytest.raises(ValueError, match=r"does not declare \['chat.creat', 'magic'\]"):
        Dispatcher({"chat.creat": done}, capabilities=["magic"])
