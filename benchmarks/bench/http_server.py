"""What one would build without the sidecar: the same engine behind HTTP, chat chunks as server-sent events.

`python -m benchmarks.bench.http_server SECONDS` (from step to step) prints its port and ends with its stdin.
Everything it could do slower than necessary it does not: no access log, chunks encoded by msgspec.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from benchmarks.bench.paced import paced_engine
from sidecar.engine.async_engine import AsyncInferenceEngine
from sidecar.engine.engine_thread import EngineThread
from sidecar.openai.adapter import OpenAIAdapter
from sidecar.openai.local import LoadingSink, LocalChatBackend
from sidecar_protocol.chat import ChatChunkEvent, ChatCreate

PATH = "/v1/chat/completions"
END = b"data: [DONE]\n\n"


def application(adapter: OpenAIAdapter) -> Starlette:
    """One route, OpenAI's."""
    encoder = msgspec.json.Encoder()

    async def events(request: ChatCreate) -> AsyncIterator[bytes]:
        async for event in adapter.chat_completion_stream(request):
            if isinstance(event, ChatChunkEvent):
                yield b"data: " + encoder.encode(event.chunk) + b"\n\n"
        yield END

    async def chat(request: Request) -> Response:
        params = msgspec.json.decode(await request.body(), type=ChatCreate)
        return StreamingResponse(events(params), media_type="text/event-stream")

    return Starlette(routes=[Route(PATH, chat, methods=["POST"])])


async def serve(step_seconds: float) -> None:
    """Serve until stdin ends."""
    engine = AsyncInferenceEngine.attach(paced_engine(step_seconds), EngineThread())

    async def source(model: str, tell: LoadingSink) -> AsyncInferenceEngine:
        return engine

    app = application(OpenAIAdapter(LocalChatBackend(source)))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
