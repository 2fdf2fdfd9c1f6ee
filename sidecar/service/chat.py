"""chat.*"""

from sidecar.openai.adapter import OpenAIAdapter
from sidecar.service.context import RequestContext
from sidecar.service.dispatcher import Handler
from sidecar_protocol.chat import ChatCompletion, ChatCreate


def chat_handlers(adapter: OpenAIAdapter) -> dict[str, Handler]:
    """Handlers of the chat namespace."""

    async def create(params: ChatCreate, context: RequestContext) -> ChatCompletion:
        turn = adapter.start_turn(params, context.emit if params.stream else None)
        context.partial = turn.completion
        await adapter.run_turn(params, turn)
        return turn.completion()

    return {"chat.create": create}
