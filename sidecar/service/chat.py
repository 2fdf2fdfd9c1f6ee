"""chat.*"""

from sidecar.openai.adapter import OpenAIAdapter
from sidecar.service.context import RequestContext
from sidecar.service.dispatcher import Handler
from sidecar.service.host_tools import host_tools
from sidecar_protocol.chat import ChatCompletion, ChatCreate


def chat_handlers(adapter: OpenAIAdapter) -> dict[str, Handler]:
    """Handlers of the chat namespace."""

    async def create(params: ChatCreate, context: RequestContext) -> ChatCompletion:
        sink = context.emit if params.stream else None
        loop = adapter.start(params, sink, host_tools(context))
        context.partial = loop.completion
        try:
            await loop.run()
        finally:
            context.unfinished_tools = [
                {"id": call.id, "name": call.function.name} for call in loop.unfinished_tools
            ]
        return loop.completion()

    return {"chat.create": create}
