"""Tools in prompts: by the model's own template, or in words where the template knows no tools.

The words are those that Hermes and Qwen models are trained on, and that others follow too.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

import msgspec

from sidecar.errors import InvalidParams
from sidecar.openai.tool_choice import ToolOffer
from sidecar.text.chat_template import ChatTemplate
from sidecar.text.tokenizer import TextPiece
from sidecar_protocol.chat_messages import ChatTool

TemplateMessage = dict[str, object]

_PROBE_NAME: Final = "probe_function"
_PROBE_ARGUMENT: Final = "probe_argument"
_PROBE_TEXT: Final = "probe_text"
_PROBE_CALL: Final = {
    "id": "probe0001",
    "type": "function",
    "function": {"name": _PROBE_NAME, "arguments": {"value": _PROBE_ARGUMENT}},
}
_PROBE_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "probe_offer",
        "description": "probe",
        "parameters": {"type": "object", "properties": {"value": {"type": "string"}}},
    },
}
_OFFER: Final = """\
# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


class PromptWriter:
    """Renders conversations with and without tools. Safe to use from several threads at once."""

    def __init__(self, template: ChatTemplate) -> None:
        self.template = template

    def render(
        self,
        messages: Sequence[TemplateMessage],
        offer: ToolOffer | None,
        variables: Mapping[str, object],
    ) -> list[TextPiece]:
        """The prompt, for `Tokenizer.encode_pieces`. Raises InvalidParams for what the template refuses."""
        has_calls = any(message["role"] == "tool" or "tool_calls" in message for message in messages)
        if offer is None and not has_calls:
            return self.template.render(messages, variables=variables)
        if not self._knows_tools:
            return self._render_in_words(messages, offer, variables)
        tools = [template_tool(tool) for tool in offer.tools] if offer is not None else None
        instruction = offer.instruction if offer is not None else None
        said = messages if instruction is None else self._with_system(instruction, messages)
        try:
            return self.template.render(said, tools=tools, variables=variables)
        except InvalidParams as refusal:
            # Some templates know one call an answer, but models make several.
            try:
                return self._render_in_words(messages, offer, variables)
            except InvalidParams:
                raise refusal from None

    def _render_in_words(
        self,
        messages: Sequence[TemplateMessage],
        offer: ToolOffer | None,
        variables: Mapping[str, object],
    ) -> list[TextPiece]:
        messages = in_words(messages)
        if offer is not None:
            tools = offer_in_words([template_tool(tool) for tool in offer.tools])
            instruction = [offer.instruction] if offer.instruction is not None else []
            messages = self._with_system("\n\n".join([tools, *instruction]), messages)
        return self.template.render(messages, variables=variables)

    @cached_property
    def _knows_tools(self) -> bool:
        """Whether the template shows tools, calls and results: found out by rendering some."""
        prompt = self._probe(
            [
                {"role": "user", "content": "probe"},
                {"role": "assistant", "content": "", "tool_calls": [_PROBE_CALL]},
                {"role": "tool", "content": _PROBE_TEXT, "tool_call_id": "probe0001", "name": _PROBE_NAME},
            ],
            [_PROBE_TOOL],
        )
        return all(word in prompt for word in ("probe_offer", _PROBE_NAME, _PROBE_ARGUMENT, _PROBE_TEXT))

    @cached_property
    def _knows_system(self) -> bool:
        messages: list[TemplateMessage] = [
            {"role": "system", "content": _PROBE_TEXT},
            {"role": "user", "content": "probe"},
        ]
        return _PROBE_TEXT in self._probe(messages, None)

    def _probe(
        self, messages: Sequence[TemplateMessage], tools: Sequence[Mapping[str, object]] | None
    ) -> str:
        try:
            return "".join(piece.text for piece in self.template.render(messages, tools=tools))
        except InvalidParams:
            return ""

    def _with_system(self, text: str, messages: Sequence[TemplateMessage]) -> list[TemplateMessage]:
        """The text as part of the system message, or of the first one where the template knows no such."""
        first = messages[0]
        if self._knows_system and first["role"] != "system":
            return [{"role": "system", "content": text}, *messages]
        return [{**first, "content": f"{first['content']}\n\n{text}".lstrip("\n")}, *messages[1:]]


def template_tool(tool: ChatTool) -> dict[str, object]:
    """A tool as templates read it: the parameters are always there."""
    function: dict[str, object] = {
        "name": tool.function.name,
        "description": tool.function.description or "",
        "parameters": tool.function.parameters or {"type": "object", "properties": {}},
    }
    return {"type": "function", "function": function}


def offer_in_words(tools: Sequence[Mapping[str, object]]) -> str:
    """What a system message says of tools."""
    return _OFFER.format(tools="\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools))


def in_words(messages: Sequence[TemplateMessage]) -> list[TemplateMessage]:
    """Calls as the text that the model wrote them in, results as a user's messages."""
    written: list[TemplateMessage] = []
    after_result = False
    for message in messages:
        is_result = message["role"] == "tool"
        if is_result:
            text = f"<tool_response>\n{message['content']}\n</tool_response>"
            if after_result:
                text = f"{written.pop()['content']}\n{text}"
            message = {"role": "user", "content": text}
        elif "tool_calls" in message:
            message = _calls_in_words(message)
        written.append(message)
        after_result = is_result
    return written


def _calls_in_words(message: TemplateMessage) -> TemplateMessage:
    calls = msgspec.convert(message["tool_calls"], list[dict[str, object]])
    texts = [str(message["content"])] if message["content"] else []
    for call in calls:
        function = msgspec.convert(call["function"], dict[str, object])
        texts.append(f"<tool_call>\n{json.dumps(function, ensure_ascii=False)}\n</tool_call>")
    kept = {key: value for key, value in message.items() if key != "tool_calls"}
    return {**kept, "content": "\n".join(texts)}
