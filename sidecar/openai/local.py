"""Chats on this computer: the model's own template, its tokenizer, our engine."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from weakref import WeakKeyDictionary

from sidecar.engine.async_engine import AsyncInferenceEngine
from sidecar.errors import Unsupported
from sidecar.generation import InferenceRequest
from sidecar.openai.chat_turn import ChatTurn
from sidecar.openai.parameters import to_generation_params
from sidecar.openai.prompt import ChatPrompt, TemplateMessage, fit_prompt, to_template_messages
from sidecar.text.chat_template import ChatTemplate
from sidecar_protocol.chat import ChatCreate
from sidecar_protocol.common import LoadingEvent, OverflowEvent

LoadingSink = Callable[[LoadingEvent], None]
EngineSource = Callable[[str, LoadingSink], Awaitable[AsyncInferenceEngine]]
"""Model name and where to tell of a load → the engine that serves it."""

SMALL_CONVERSATION_BYTES = 16 * 2**10
"""Rendered on the event loop; a longer one goes to a worker, so that other streams flow on."""


class LocalChatBackend:
    """A ChatBackend over loaded models; `source` finds, and where needed loads, the engine for a name."""

    def __init__(self, source: EngineSource) -> None:
        self._source = source
        self._templates: WeakKeyDictionary[AsyncInferenceEngine, ChatTemplate] = WeakKeyDictionary()

    async def run(self, request: ChatCreate, turn: ChatTurn) -> None:
        """Render, encode, generate; `turn` hears of loading, overflow, the prompt and every piece of text."""
        params = to_generation_params(request)
        to_template_messages(request.messages)
        engine = await self._source(request.model, turn.tell)
        prompt = await self._prompt(engine, request, params.max_tokens)
        if prompt.dropped_messages:
            turn.tell(
                OverflowEvent(dropped_messages=prompt.dropped_messages, dropped_tokens=prompt.dropped_tokens)
            )
        async with aclosing(engine.stream(InferenceRequest(prompt.token_ids, params))) as outputs:
            async for output in outputs:
                turn.take(output, engine.tokenizer.token_bytes)
                if output.error is not None:
                    raise output.error

    async def count_tokens(self, request: ChatCreate) -> tuple[int, int]:
        """Prompt tokens of the whole conversation, and the context length."""
        engine = await self._source(request.model, lambda _: None)
        messages = to_template_messages(request.messages)
        token_ids = await asyncio.to_thread(self._encode, engine, request, messages)
        return len(token_ids), engine.model_info.context_length

    async def _prompt(
        self, engine: AsyncInferenceEngine, request: ChatCreate, max_tokens: int | None
    ) -> ChatPrompt:
        def encode(messages: Sequence[TemplateMessage]) -> list[int]:
            return self._encode(engine, request, messages)

        size = sum(len(str(message.content)) for message in request.messages)
        if size <= SMALL_CONVERSATION_BYTES:
            return fit_prompt(request, engine.model_info.context_length, max_tokens, encode)
        return await asyncio.to_thread(
            fit_prompt, request, engine.model_info.context_length, max_tokens, encode
        )

    def _encode(
        self, engine: AsyncInferenceEngine, request: ChatCreate, messages: Sequence[TemplateMessage]
    ) -> list[int]:
        pieces = self._template(engine).render(messages, **request.chat_template_kwargs)
        return engine.tokenizer.encode_pieces(pieces)

    def _template(self, engine: AsyncInferenceEngine) -> ChatTemplate:
        template = self._templates.get(engine)
        if template is None:
            source = engine.model_info.chat_template
            if source is None:
                raise Unsupported(
                    f"{engine.model_info.name} has no chat template, so it cannot chat; "
                    "generate.create takes raw prompts"
                )
            template = ChatTemplate(source, engine.tokenizer)
            self._templates[engine] = template
        return template
