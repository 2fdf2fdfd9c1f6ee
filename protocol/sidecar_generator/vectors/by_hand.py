"""Values that nobody would think up from a schema: real ones, and hostile ones."""

from typing import Final

from sidecar_generator.vectors.vector import Accepted, Rejected

_QUESTION: Final = {"role": "user", "content": "Will it rain in Bern?"}
_CALL: Final = {"type": "function", "id": "call_01", "function": {"name": "weather", "arguments": "{}"}}
_RUDE_KEYS: Final = {"": 0, "__proto__": {"polluted": True}, "constructor": "x", "🦊": [[], {}]}

ACCEPTED: Final = (
    Accepted(
        "ChatCreate: a conversation with a tool",
        "ChatCreate",
        {
            "temperature": 0.7,
            "stop": ["\n\n", "END"],
            "messages": [
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "name": "Ada",
                    "content": [
                        {"type": "text", "text": "What is this, and will it rain?"},
                        {
                            "type": "image_url",
                            "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
                        },
                    ],
                },
                {"role": "assistant", "tool_calls": [_CALL]},
                {"role": "tool", "content": "It rains.", "tool_call_id": "call_01"},
            ],
            "tools": [{"type": "function", "function": {"name": "weather"}}],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
        },
    ),
    Accepted(
        "ChatCreate: texts that are easily broken",
        "ChatCreate",
        {
            "messages": [
                {"role": "user", "content": "🦊 שלום \x00 \ufeff e\u0301 \U0010ffff"},
                {"role": "user", "content": ""},
            ],
            "chat_template_kwargs": _RUDE_KEYS,
        },
    ),
    Accepted(
        "ChatCreate: the largest integer that JavaScript reads exactly",
        "ChatCreate",
        {"seed": 9_007_199_254_740_991, "stop_token_ids": [0, 4_294_967_296], "messages": [_QUESTION]},
    ),
    Accepted(
        "GenerateCreate: integers of every width",
        "GenerateCreate",
        {"prompt": [0, 127, 128, 255, 256, 65_535, 65_536, 4_294_967_295], "max_tokens": 1},
    ),
    Accepted(
        "GenerateCreate: negative integers of every width",
        "GenerateCreate",
        {"prompt": [-1, -32, -33, -128, -129, -32_768, -32_769, -2_147_483_648, -2_147_483_649]},
    ),
    Accepted(
        "GenerateCreate: very small numbers",
        "GenerateCreate",
        {"temperature": 5e-324, "frequency_penalty": -2.5e-10, "logit_bias": {"198": 0.1}, "prompt": "a"},
    ),
    Accepted(
        "TokensEncode: texts on both sides of a longer form",
        "TokensEncode",
        {"text": "x" * 31, "model": "x" * 32},
    ),
    Accepted("TokensDecoded: a text of 256 bytes", "TokensDecoded", {"text": "é" * 128}),
    Accepted(
        "ResponsesCreate: what an answer held is sent back",
        "ResponsesCreate",
        {
            "input": [
                {"type": "message", "role": "user", "content": "Read my notes."},
                {
                    "type": "mcp_call",
                    "id": "item_02",
                    "server_label": "files",
                    "name": "read",
                    "arguments": "{}",
                    "error": {
                        "type": "mcp_tool_execution_error",
                        "content": [{"text": "no", "type": "text"}],
                    },
                },
                {"type": "item_reference", "id": "item_03"},
            ],
            "tools": [
                {
                    "type": "mcp",
                    "server_label": "files",
                    "allowed_tools": {"read_only": True},
                    "require_approval": {"never": {"tool_names": ["read"]}},
                }
            ],
        },
    ),
    Accepted(
        "EmbeddingsCreate: texts and token ids",
        "EmbeddingsCreate",
        {"input": ["a", [1, 2, 3]], "encoding_format": "bin"},
    ),
    Accepted(
        "LogEvent: any JSON in its fields",
        "LogEvent",
        {"type": "log", "level": "debug", "time": 0.5, "logger": "", "message": "", "fields": _RUDE_KEYS},
    ),
    Accepted(
        "McpToolCallResult: metadata at every level",
        "McpToolCallResult",
        {
            "content": [
                {
                    "type": "resource",
                    "_meta": {"of": "the block"},
                    "resource": {
                        "_meta": {"of": "the contents"},
                        "uri": "file:///home/ada/a.txt",
                        "text": "a",
                    },
                    "annotations": {"audience": ["user", "assistant"], "priority": 0.5},
                }
            ],
            "structuredContent": {"a": [None, {"b": []}]},
            "_meta": {"of": "the result"},
        },
    ),
    Accepted(
        "ErrorBody: what a cancelled request had by then",
        "ErrorBody",
        {
            "code": "cancelled",
            "message": "chat.create was cancelled by the host",
            "data": {"partial": {"choices": []}, "unfinished_tools": [{"id": "c", "name": "weather"}]},
        },
    ),
)

REJECTED: Final = (
    Rejected(
        "ChatCreate: stream is a text",
        "ChatCreate",
        {"stream": "yes", "messages": [_QUESTION]},
        "hostile",
        "stream",
    ),
    Rejected(
        "ChatCreate: messages in a map with numbers for keys",
        "ChatCreate",
        {"messages": {"0": _QUESTION, "length": 1}},
        "hostile",
        "messages",
    ),
    Rejected(
        "ChatCreate: a role that is a list",
        "ChatCreate",
        {"messages": [{"role": ["user"], "content": "a"}]},
        "hostile",
        "messages[0].role",
    ),
    Rejected(
        "ChatCreate: a role that every object of JavaScript has",
        "ChatCreate",
        {"messages": [{"role": "constructor", "content": "a"}]},
        "hostile",
        "messages[0].role",
    ),
    Rejected(
        "ChatCreate: a boolean for an integer",
        "ChatCreate",
        {"n": True, "messages": [_QUESTION]},
        "hostile",
        "n",
    ),
    Rejected(
        "ChatCreate: bytes for a text",
        "ChatCreate",
        {"messages": [{"role": "user", "content": b"Hello"}]},
        "hostile",
        "messages[0].content",
    ),
    Rejected("ChatCreate: a list", "ChatCreate", [[_QUESTION]], "hostile", ""),
    Rejected("EngineInfoRequest: a text", "EngineInfoRequest", "{}", "hostile", ""),
    Rejected(
        "GenerateCreate: a prompt of texts", "GenerateCreate", {"prompt": ["a"]}, "hostile", "prompt[0]"
    ),
    Rejected(
        "HostCallTool: arguments as JSON in a text",
        "HostCallTool",
        {"call_id": "call_01", "name": "weather", "arguments": "{}"},
        "hostile",
        "arguments",
    ),
    Rejected(
        "ChatEvent: a chunk with the fields of another event",
        "ChatEvent",
        {"type": "chunk", "position": 1},
        "hostile",
        "chunk",
    ),
    Rejected("ErrorBody: only a text", "ErrorBody", "cancelled", "hostile", ""),
    Rejected("ModelsChanged: only a model's name", "ModelsChanged", {"model": "m"}, "hostile", "model"),
)
