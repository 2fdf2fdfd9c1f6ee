"""tokens.*"""

import asyncio

from sidecar.errors import InvalidParams
from sidecar.openai.adapter import OpenAIAdapter
from sidecar.openai.local import EngineSource
from sidecar.service.context import RequestContext
from sidecar.service.dispatcher import Handler
from sidecar_protocol.chat import ChatCreate
from sidecar_protocol.tokens import (
    TokensCount,
    TokensCounted,
    TokensDecode,
    TokensDecoded,
    TokensEncode,
    TokensEncoded,
)


def token_handlers(engines: EngineSource, adapter: OpenAIAdapter) -> dict[str, Handler]:
    """Handlers of the tokens namespace. All work is done off the event loop."""

    async def encode(params: TokensEncode, context: RequestContext) -> TokensEncoded:
        tokenizer = (await engines(params.model, context.emit)).tokenizer
        token_ids = await asyncio.to_thread(tokenizer.encode, params.text, parse_special=params.parse_special)
        return TokensEncoded(token_ids=token_ids)

    async def decode(params: TokensDecode, context: RequestContext) -> TokensDecoded:
        tokenizer = (await engines(params.model, context.emit)).tokenizer
        text = await asyncio.to_thread(
            tokenizer.decode, params.token_ids, skip_special_tokens=params.skip_special_tokens
        )
        return TokensDecoded(text=text)

    async def count(params: TokensCount, context: RequestContext) -> TokensCounted:
        if (params.text is None) == (params.messages is None):
            raise InvalidParams("params needs exactly one of text and messages", parameter="params.text")
        if params.messages is not None:
            request = ChatCreate(model=params.model, messages=params.messages, tools=params.tools)
            tokens, context_length = await adapter.count_tokens(request)
            return TokensCounted(count=tokens, context_length=context_length)
        engine = await engines(params.model, context.emit)
        token_ids = await asyncio.to_thread(engine.tokenizer.encode, params.text or "")
        return TokensCounted(count=len(token_ids), context_length=engine.model_info.context_length)

    return {"tokens.encode": encode, "tokens.decode": decode, "tokens.count": count}
