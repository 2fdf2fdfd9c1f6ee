"""What a field of a name holds in an example: values as an application would meet them."""

import re
from typing import Final

TEXTS: Final = {
    "after": "item_01",
    "app_id": "org.example.notes",
    "approval_request_id": "approval_01",
    "architecture": "llama",
    "args": "--read-only",
    "arguments": '{"city": "Bern"}',
    "audience": "user",
    "authorization": "an-access-token",
    "blob": "AAECAw==",
    "boot_id": "9016d990c98226d8",
    "cache_dir": "/home/ada/.cache/llm-sidecar",
    "call_id": "call_01",
    "choice": "yes",
    "client_id": "notes",
    "client_secret": "not-a-secret",
    "command": "uvx",
    "connection": "c1",
    "content": "Will it rain in Bern?",
    "conversation": "conversation_01",
    "conversation_id": "conversation_01",
    "cwd": "/home/ada/notes",
    "data": "AAECAw==",
    "data_dir": "/home/ada/.local/share/llm-sidecar",
    "delta": " blue",
    "description": "The weather of a city.",
    "device": "cpu",
    "elicitation_id": "elicitation_01",
    "encrypted_content": "AAECAw==",
    "error": "it does not answer",
    "executor": "native",
    "executors": "native",
    "exposed_name": "files__read",
    "file": "smollm2-135m-q4_1.gguf",
    "file_data": "AAECAw==",
    "file_id": "file_01",
    "file_url": "https://example.org/notes.pdf",
    "filename": "notes.pdf",
    "final_message": "It will rain.",
    "first_id": "item_01",
    "id": "item_01",
    "image_url": "data:image/png;base64,iVBORw0KGgo=",
    "input": "What is photosynthesis?",
    "instructions": "Be brief.",
    "item_id": "item_01",
    "kernel_path": "avx512-bf16",
    "lark": 'start: "yes" | "no"',
    "last_id": "item_09",
    "last_modified": "2026-11-23T02:30:00Z",
    "license": "Apache-2.0",
    "logger": "sidecar.transport.hub",
    "message": "what was wrong, where, and what would be right",
    "mime_type": "text/plain",
    "model": "smollm2-135m",
    "name": "get_weather",
    "output": "It rains.",
    "path": "/home/ada/models/smollm2-135m.gguf",
    "phase": "execute",
    "platform": "linux-x86_64",
    "previous_response_id": "response_01",
    "problem": "its architecture is not supported",
    "prompt": "The sky is blue because",
    "protocol_version": "2025-06-18",
    "python": "3.11.9",
    "quantization": "q4_1",
    "reason": "it would delete a file",
    "reasoning_content": "The question is about weather.",
    "redirect": "org.example.notes:/signed-in?code=1",
    "redirect_uri": "org.example.notes:/signed-in",
    "refusal": "I cannot help with that.",
    "regex": "[0-9]{4}",
    "response_id": "response_01",
    "run_id": "run_01",
    "scopes": "files:read",
    "server": "files",
    "server_label": "files",
    "server_url": "https://example.org/mcp",
    "servers": "files",
    "session_id": "session_01",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "sizes": "48x48",
    "src": "https://example.org/icon.png",
    "stop": "\n",
    "stop_sequences": "\n",
    "system_prompt": "Be brief.",
    "text": "The sky is blue.",
    "title": "Weather",
    "token": " blue",
    "tool_call_id": "call_01",
    "tool_use_id": "call_01",
    "uri": "file:///home/ada/notes/today.txt",
    "uri_template": "file:///home/ada/notes/{name}.txt",
    "url": "https://example.org/mcp",
    "version": "0.1.0",
    "website_url": "https://example.org",
}
INTEGERS: Final = {
    "available_bytes": 8_589_934_592,
    "budget_bytes": 4_294_967_296,
    "bytes": 32,
    "cached_tokens": 8,
    "choice": 0,
    "code": -32601,
    "completion_tokens": 5,
    "content_index": 0,
    "context_length": 8192,
    "created": 1_764_000_000,
    "created_at": 1_764_000_000,
    "index": 0,
    "max_tokens": 64,
    "output_index": 0,
    "parameters": 134_515_008,
    "pid": 6348,
    "prompt_tokens": 12,
    "seed": 7,
    "stop_token_ids": 198,
    "summary_index": 0,
    "timeout_ms": 30_500,
    "token_id": 198,
    "token_ids": 198,
    "total_tokens": 17,
    "uptime_ms": 60_000,
}
NUMBERS: Final = {
    "completed_at": 1_764_000_001.25,
    "created_at": 1_764_000_000.5,
    "logprob": -0.25,
    "temperature": 0.7,
    "time": 1_764_000_000.25,
    "top_p": 0.9,
    "total": 2.5,
}
KEYS: Final = {
    "arguments": "city",
    "env": "LANG",
    "headers": "X-Request-Id",
    "logit_bias": "198",
    "metadata": "topic",
    "quantization": "q4_1",
}
JSON_SCHEMA: Final[dict[str, object]] = {
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "type": "object",
}
OBJECTS: Final[dict[str, dict[str, object]]] = {
    "header": {"id": 1, "k": "res", "s": 0},
    "input_schema": JSON_SCHEMA,
    "output_schema": JSON_SCHEMA,
    "requested_schema": JSON_SCHEMA,
    "schema": JSON_SCHEMA,
    "parameters": JSON_SCHEMA,
}
ANY_JSON: Final[dict[str, object]] = {"city": "Bern", "days": [1, 2.5], "rain": True, "wind": None}
"""Keys of maps rise everywhere here: not every language keeps another order."""


def text(field: str) -> str:
    """A text, else the field's name in words."""
    name = snake(field)
    return TEXTS.get(name, name.replace("_", " "))


def integer(field: str) -> int:
    """A whole number that JavaScript reads exactly."""
    name = snake(field)
    return INTEGERS.get(name, 98_304_000 if name.endswith("_bytes") else 3)


def number(field: str) -> float:
    """A number that is not whole: JavaScript writes whole ones as integers."""
    return NUMBERS.get(snake(field), 0.5)


def key(field: str) -> str:
    """A key of a map."""
    return KEYS.get(snake(field), "key")


def json_object(field: str) -> dict[str, object]:
    """Any JSON object."""
    return dict(OBJECTS.get(snake(field), ANY_JSON))


def snake(name: str) -> str:
    """mimeType and MimeType -> mime_type"""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower().strip("_")
