"""What MCP servers write is read as it is, and written again the same; what hosts are asked has a form."""

from typing import Any

import msgspec
import pytest

from sidecar_protocol.host import (
    HostCallTool,
    HostElicit,
    HostReviewSampling,
    SamplingReview,
    ToolOutput,
    UrlElicitation,
)
from sidecar_protocol.mcp import (
    McpAddServer,
    McpComplete,
    McpCompletionResult,
    McpPromptResult,
    McpResourceList,
    McpResourceRead,
    McpResourceTemplateList,
    McpToolCallResult,
)
from sidecar_protocol.mcp_servers import HttpTransport, StdioTransport
from sidecar_protocol.mcp_types import McpSamplingRequest, McpSamplingResult, McpServerTool
from sidecar_protocol.methods import HOST_REQUESTS, METHODS, NOTIFICATIONS
from sidecar_protocol.registry import Direction

TOOL = {
    "name": "get_weather",
    "title": "Weather",
    "description": "Current weather of a place.",
    "inputSchema": {"type": "object", "properties": {"place": {"type": "string"}}},
    "outputSchema": {"type": "object", "properties": {"degrees": {"type": "number"}}},
    "annotations": {"readOnlyHint": True, "openWorldHint": True},
    "icons": [
        {"src": "https://example.org/a.png", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"}
    ],
    "_meta": {"org.example/x": 1},
}
PASSED_THROUGH: list[tuple[Any, dict[str, Any]]] = [
    (McpServerTool, TOOL),
    (
        McpToolCallResult,
        {
            "content": [
                {
                    "type": "text",
                    "text": "20 degrees",
                    "annotations": {"audience": ["user"], "priority": 0.5},
                },
                {"type": "image", "data": "AA==", "mimeType": "image/png"},
                {"type": "audio", "data": "AA==", "mimeType": "audio/wav"},
                {
                    "type": "resource_link",
                    "uri": "file:///a",
                    "name": "a",
                    "mimeType": "text/plain",
                    "size": 3,
                },
                {"type": "resource", "resource": {"uri": "file:///a", "text": "abc"}},
                {"type": "resource", "resource": {"uri": "file:///b", "mimeType": "x/y", "blob": "AA=="}},
            ],
            "structuredContent": {"degrees": 20},
            "isError": True,
            "_meta": {"k": "v"},
        },
    ),
    (
        McpPromptResult,
        {
            "description": "Review",
            "messages": [{"role": "user", "content": {"type": "text", "text": "Review this."}}],
        },
    ),
    (
        McpResourceList,
        {
            "resources": [
                {"uri": "file:///a", "name": "a", "annotations": {"lastModified": "2026-01-01T00:00:00Z"}}
            ]
        },
    ),
    (
        McpResourceTemplateList,
        {"resourceTemplates": [{"uriTemplate": "file:///{path}", "name": "files", "mimeType": "text/plain"}]},
    ),
    (McpResourceRead, {"contents": [{"uri": "file:///a", "text": "abc"}]}),
    (McpCompletionResult, {"completion": {"values": ["python"], "total": 10, "hasMore": True}}),
    (
        McpSamplingRequest,
        {
            "messages": [
                {"role": "user", "content": {"type": "text", "text": "Weather?"}},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"place": "A"}}
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "toolUseId": "t1",
                            "content": [{"type": "text", "text": "20"}],
                            "structuredContent": {"degrees": 20},
                        }
                    ],
                },
            ],
            "maxTokens": 100,
            "systemPrompt": "Be brief.",
            "includeContext": "thisServer",
            "modelPreferences": {"hints": [{"name": "smol"}], "speedPriority": 0.9},
            "tools": [TOOL],
            "toolChoice": {"mode": "auto"},
            "stopSequences": ["\n"],
        },
    ),
    (
        McpSamplingResult,
        {
            "role": "assistant",
            "content": {"type": "text", "text": "20 degrees."},
            "model": "smollm2",
            "stopReason": "endTurn",
        },
    ),
]


@pytest.mark.parametrize(("kind", "plain"), PASSED_THROUGH, ids=[kind.__name__ for kind, _ in PASSED_THROUGH])
def test_it_passes_through_unchanged(kind: Any, plain: dict[str, Any]) -> None:
    assert msgspec.to_builtins(msgspec.convert(plain, kind)) == plain


def test_servers_are_told_apart_by_how_they_are_reached() -> None:
    local = msgspec.convert(
        {"name": "files", "transport": {"type": "stdio", "command": "npx", "args": ["server"]}}, McpAddServer
    )
    assert local.transport == StdioTransport(command="npx", args=["server"])
    remote = msgspec.convert(
        {"name": "a", "transport": {"type": "http", "url": "https://a", "auth": {"type": "oauth"}}},
        McpAddServer,
    )
    assert isinstance(remote.transport, HttpTransport)
    for wrong in (
        {"type": "stdio"},
        {"type": "carrier-pigeon"},
        {"type": "http", "url": "u", "command": "x"},
    ):
        with pytest.raises(msgspec.ValidationError, match="transport"):
            msgspec.convert({"name": "a", "transport": wrong}, McpAddServer)
    with pytest.raises(msgspec.ValidationError, match="name"):
        msgspec.convert({"name": "a b", "transport": {"type": "stdio", "command": "x"}}, McpAddServer)


@pytest.mark.parametrize("ref", [{"type": "ref/prompt", "name": "p"}, {"type": "ref/resource", "uri": "u"}])
def test_completion_is_of_prompts_and_of_resource_templates(ref: dict[str, str]) -> None:
    params = {"server": "a", "ref": ref, "argument": {"name": "language", "value": "py"}}
    assert msgspec.to_builtins(msgspec.convert(params, McpComplete)) == params


class TestHost:
    def test_every_request_is_named_by_its_capability(self) -> None:
        assert set(HOST_REQUESTS) == {
            "host.call_tool",
            "host.approve_tool",
            "host.elicit",
            "host.list_roots",
            "host.review_sampling",
            "host.open_url",
            "host.secret",
        }
        for name, request in HOST_REQUESTS.items():
            assert request.direction is Direction.ENGINE_TO_HOST
            assert request.capability == name
            assert name not in METHODS

    def test_notifications(self) -> None:
        assert set(NOTIFICATIONS) == {
            "models.changed",
            "mcp.changed",
            "mcp.resource_updated",
            "engine.log",
            "engine.pressure",
            "protocol.error",
        }

    def test_hosts_read_what_a_newer_engine_adds(self) -> None:
        plain = {"call_id": "c", "name": "look", "arguments": {}, "what_comes_later": 1}
        assert msgspec.convert(plain, HostCallTool) == HostCallTool(call_id="c", name="look", arguments={})

    def test_a_tools_output_is_text_or_parts(self) -> None:
        assert msgspec.convert({"output": "20"}, ToolOutput).output == "20"
        parts = {"output": [{"type": "input_text", "text": "20"}], "is_error": True}
        assert msgspec.to_builtins(msgspec.convert(parts, ToolOutput)) == parts

    def test_elicitation_is_a_form_or_a_page(self) -> None:
        form = {"mode": "form", "message": "Who?", "requestedSchema": {"type": "object"}}
        asked = {"server": "a", "elicitation": form}
        assert msgspec.to_builtins(msgspec.convert(asked, HostElicit)) == asked
        page = {"mode": "url", "message": "Sign in", "url": "https://a", "elicitationId": "e"}
        answer = msgspec.convert({"server": "a", "elicitation": page}, HostElicit)
        assert isinstance(answer.elicitation, UrlElicitation)

    def test_sampling_is_reviewed_before_and_after(self) -> None:
        request = {"messages": [{"role": "user", "content": {"type": "text", "text": "x"}}], "maxTokens": 5}
        before = {"server": "a", "stage": "request", "request": request}
        assert msgspec.to_builtins(msgspec.convert(before, HostReviewSampling)) == before
        review = {"approved": True, "request": {**request, "maxTokens": 3}}
        assert msgspec.to_builtins(msgspec.convert(review, SamplingReview)) == review
