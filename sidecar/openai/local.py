"""Chats on this computer: the model's own template, its tokenizer, our engine."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from weakref import WeakKeyDictionary

from sidecar.engine.async_engine import AsyncInferenceEngine
from sidecar.errors import InvalidParams
from sidecar.generation import InferenceRequest
from sidecar.openai.chat_turn import ChatTurn
from sidecar.openai.parameters import to_generation_params
from sidecar.openai.prompt import fit_prompt, to_template_messages
from sidecar.openai.tool_choice import ToolOffer, tool_offer
from sidecar.openai.tool_prompt import PromptWriter, TemplateMessage
from sidecar.openai.toolcalls.choice import parser_for_template
from sidecar.text.chat_template import ChatTemplate
from sidecar_protocol.chat import ChatCreate
from sidecar_protocol.common import LoadingEvent, OverflowEvent

LoadingSink = Callable[[LoadingEvent], None]
EngineSource = Callable[[str, LoadingSink], Awaitable[AsyncInferenceEngine]]
"""Model name and where to tell of a load → the engine that serves it."""

_SET_BY_US = frozenset({"messages", "tools", "add_generation_prompt", "bos_token", "eos_token"})


class LocalChatBackend:
    """A ChatBackend over loaded models; `source` finds, and where needed loads, the engine for a name.

    Templates are rendered on a worker thread: they come with the model, and a
    slow one must not hold up other streams.
    """

    def __init__(self, source: EngineSource) -> None:
        self._source = source
        self._writers: WeakKeyDictionary[AsyncInferenceEngine, PromptWriter] = WeakKeyDictionary()

    async def run(self, request: ChatCreate, turn: ChatTurn) -> None:
        """Render, encode, generate; `turn` hears of loading, overflow, the prompt and every piece of text."""
        params = to_generation_params(request)
        offer = _check(request)
        engine = await self._source(request.model, turn.tell)

        def encode(messages: Sequence[TemplateMessage]) -> list[int]:
            return self._encode(engine, request, offer, messages)

        if offer is not None:
            make_parser = parser_for_template(engine.model_info.chat_template or "")
            turn.read_calls(partial(make_parser, offer.names), several=offer.parallel)

        context_length = engine.model_info.context_length
        prompt = await asyncio.to_thread(fit_prompt, request, context_length, params.max_tokens, encode)
        if prompt.dropped_messages:
            turn.tell(
                OverflowEvent(dropped_messages=prompt.dropped_messages, dropped_tokens=prompt.dropped_tokens)
            )
        async with aclosing(engine.stream(InferenceRequest(prompt.token_ids, params))) as outputs:
            async for output in outputs:
                turn.take(output, engine.tokenizer.token_bytes)
                if output.error is not None:
                    raise output.error
                if turn.may_stop:
                    break

    async def count_tokens(self, request: ChatCreate) -> tuple[int, int]:
        """Prompt tokens of the whole conversation, and the context length."""
        offer = _check(request)
        engine = await self._source(request.model, lambda _: None)
        messages = to_template_messages(request.messages)
        token_ids = await asyncio.to_thread(self._encode, engine, request, offer, messages)
        return len(token_ids), engine.model_info.context_length

    def _encode(
        self,
        engine: AsyncInferenceEngine,
        request: ChatCreate,
        offer: ToolOffer | None,
        messages: Sequence[TemplateMessage],
    ) -> list[int]:
        writer = self._writers.get(engine)
        if writer is None:
            writer = PromptWriter(ChatTemplate.of_model(engine.model_info.chat_template, engine.tokenizer))
            self._writers[engine] = writer
        return engine.tokenizer.encode_pieces(writer.render(messages, offer, request.chat_template_kwargs))


def _check(request: ChatCreate) -> ToolOffer | None:
    """Refuse what is wrong with any model before one is loaded for it; gives what is offered."""
    to_template_messages(request.messages)
    for name in request.chat_template_kwargs:
        if name in _SET_BY_US:
            parameter = f"params.chat_template_kwargs.{name}"
            raise InvalidParams(f"{parameter} is set by the engine and cannot be given", parameter=parameter)
    return tool_offer(request)
